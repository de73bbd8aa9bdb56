package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.rpc.RetryInfo;
import io.github.runsvc.v1.GetRequest;
import io.github.runsvc.v1.GetResponse;
import io.github.runsvc.v1.SetStatusRequest;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.StreamStatusResponse;
import io.grpc.Status.Code;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A length of time that is too long never counts as none. */
class LengthsTest {
  private static final Duration FOREVER = Duration.ofSeconds(Long.MAX_VALUE, 999_999_999);

  private ExecutionServer runs;

  @BeforeEach
  void start() throws IOException {
    runs = new ExecutionServer();
  }

  @AfterEach
  void stop() {
    runs.close();
  }

  private static Stream<Duration> notPositive() {
    return Stream.of(
        Duration.ZERO, Duration.ofNanos(-1), Duration.ofSeconds(Long.MIN_VALUE), FOREVER.negated());
  }

  private static Stream<Duration> veryLong() {
    return Stream.of(FOREVER, Duration.ofSeconds(Long.MAX_VALUE), Duration.ofNanos(Long.MAX_VALUE));
  }

  @ParameterizedTest
  @MethodSource("notPositive")
  void timeoutMustBePositive(Duration length) {
    assertThrows(IllegalArgumentException.class, () -> runs.client.withTimeout(length));
    RunClientBuilder builder = new RunClientBuilder(Map.of()).timeout(length);
    assertThrows(IllegalArgumentException.class, builder::build);
  }

  @ParameterizedTest
  @MethodSource("veryLong")
  void veryLongTimeoutLeavesTime(Duration length) {
    runs.answers(GetRequest.class, GetResponse.getDefaultInstance());
    RunClient patient = runs.client.withTimeout(length);
    assertEquals("", patient.get("r").getRunId());
    patient.execute("r", ExecuteOptions.forWorker("w"), execution -> null);
  }

  @ParameterizedTest
  @MethodSource("veryLong")
  void watchWithVeryLongOutageReconnects(Duration length) {
    StreamStatusResponse event = StreamStatusResponse.newBuilder().setRevision(3).build();
    runs.answers(StreamStatusRequest.class, Answers.breaks(Code.UNAVAILABLE), Answers.sends(event));
    try (Watch watch = runs.client.watch(StreamStatusRequest.getDefaultInstance(), length)) {
      assertEquals(event, watch.next());
    }
  }

  @ParameterizedTest
  @MethodSource("notPositive")
  void watchWithoutOutageDoesNotReconnect(Duration length) {
    runs.answers(StreamStatusRequest.class, Answers.breaks(Code.UNAVAILABLE));
    try (Watch watch = runs.client.watch(StreamStatusRequest.getDefaultInstance(), length)) {
      assertThrows(RunException.Unavailable.class, watch::hasNext);
    }
    assertEquals(1, runs.requests(StreamStatusRequest.class).size());
  }

  @ParameterizedTest
  @MethodSource({"notPositive", "veryLong"})
  void leaseOfAnyLengthIsSent(Duration length) {
    runs.answers(SetStatusRequest.class, Answers.refuses(Code.INVALID_ARGUMENT, ""));
    ExecuteOptions options = ExecuteOptions.forWorker("w").withLease(length);
    assertThrows(
        RunException.InvalidArgument.class,
        () -> runs.client.execute("r", options, execution -> null));
    assertTrue(runs.last(SetStatusRequest.class).hasLeaseTtl());
  }

  @Test
  void adviceOfAnyLengthIsNoHurry() {
    for (long seconds : new long[] {Long.MAX_VALUE, Long.MIN_VALUE}) {
      RetryInfo.Builder advice = RetryInfo.newBuilder();
      advice.getRetryDelayBuilder().setSeconds(seconds).setNanos(Integer.MAX_VALUE);
      runs.answers(GetRequest.class, Answers.refuses(Code.UNAVAILABLE, "DRAINING", advice.build()));
      RunException failure = assertThrows(RunException.class, () -> runs.client.get("r"));
      Duration pause = new Backoff().pause(failure);
      assertTrue(pause.compareTo(Duration.ofMillis(25)) >= 0);
      assertTrue(pause.compareTo(Duration.ofDays(2)) < 0);
    }
  }
}
