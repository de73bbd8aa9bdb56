package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Duration;
import com.google.rpc.RetryInfo;
import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.CompleteResponse;
import io.github.runsvc.v1.CreateRequest;
import io.github.runsvc.v1.GetRequest;
import io.github.runsvc.v1.GetResponse;
import io.github.runsvc.v1.RunSpec;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.StreamStatusResponse;
import io.grpc.Status.Code;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Answers of a server that is overloaded or stops. */
class OverloadTest {
  private static final Consumer<StreamObserver<?>> SHED = Answers.breaks(Code.CANCELLED);
  private static final Consumer<StreamObserver<?>> OVERLOADED =
      Answers.refuses(
          Code.RESOURCE_EXHAUSTED,
          "OVERLOADED",
          RetryInfo.newBuilder()
              .setRetryDelay(Duration.newBuilder().setNanos(100_000_000))
              .build());

  private ExecutionServer runs;

  @BeforeEach
  void start() throws IOException {
    runs = new ExecutionServer();
  }

  @AfterEach
  void stop() {
    runs.close();
  }

  private static Stream<Consumer<StreamObserver<?>>> refusals() {
    return Stream.of(SHED, OVERLOADED);
  }

  @ParameterizedTest
  @MethodSource("refusals")
  void readIsRetried(Consumer<StreamObserver<?>> refusal) {
    runs.answers(GetRequest.class, refusal, Answers.sends(GetResponse.getDefaultInstance()));
    long began = System.nanoTime();
    runs.client.get("r");
    assertEquals(2, runs.requests(GetRequest.class).size());
    assertTrue(refusal == SHED || System.nanoTime() - began >= 100_000_000);
  }

  @ParameterizedTest
  @MethodSource("refusals")
  void creationWithoutRequestIdIsNotRetried(Consumer<StreamObserver<?>> refusal) {
    runs.answers(CreateRequest.class, refusal);
    RunSpec spec = RunSpec.getDefaultInstance();
    RunException failure = assertThrows(RunException.class, () -> runs.client.create(spec));
    assertEquals(refusal == SHED, failure instanceof RunException.Unavailable);
    assertEquals(1, runs.requests(CreateRequest.class).size());
  }

  @ParameterizedTest
  @MethodSource("refusals")
  void watchResumes(Consumer<StreamObserver<?>> refusal) {
    StreamStatusResponse event = StreamStatusResponse.newBuilder().setRevision(3).build();
    runs.answers(StreamStatusRequest.class, refusal, Answers.sends(event));
    try (Watch watch = runs.client.watch("r")) {
      assertEquals(event, watch.next());
    }
  }

  @Test
  void endIsReportedAfterForeignCancel() {
    runs.answers(CompleteRequest.class, SHED, Answers.sends(CompleteResponse.getDefaultInstance()));
    runs.client.execute("r", execution -> null);
    assertEquals(2, runs.requests(CompleteRequest.class).size());
  }

  @Test
  void cancelByServerIsNotRetried() {
    runs.answers(GetRequest.class, Answers.refuses(Code.CANCELLED, ""));
    RunException failure = assertThrows(RunException.class, () -> runs.client.get("r"));
    assertEquals(Code.CANCELLED, failure.code());
    assertEquals(1, runs.requests(GetRequest.class).size());
  }

  @Test
  void interruptOfCallerIsNotRetried() {
    runs.answers(GetRequest.class, Answers.begins());
    Thread.currentThread().interrupt();
    RunException failure = assertThrows(RunException.class, () -> runs.client.get("r"));
    assertTrue(Thread.interrupted());
    assertEquals(Code.CANCELLED, failure.code());
  }
}
