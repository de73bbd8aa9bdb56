package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Duration;
import com.google.rpc.BadRequest;
import com.google.rpc.RetryInfo;
import io.github.runsvc.v1.CreateRequest;
import io.github.runsvc.v1.CreateResponse;
import io.github.runsvc.v1.GetResponse;
import io.github.runsvc.v1.GetServerInfoResponse;
import io.github.runsvc.v1.ListByThreadRequest;
import io.github.runsvc.v1.ListByThreadResponse;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunSpec;
import io.github.runsvc.v1.StreamStatusResponse;
import io.grpc.Status.Code;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class RunClientTest {
  private static final GetResponse FOUND =
      GetResponse.newBuilder().setRun(Run.newBuilder().setRunId("r")).build();

  private ScriptedServer server;
  private RunClient client;

  @BeforeEach
  void start() throws IOException {
    server = new ScriptedServer();
    client = server.client().token("secret").build();
  }

  @AfterEach
  void stop() {
    client.close();
    server.close();
  }

  @Test
  void retriesReadWhileServerIsUnavailable() {
    server.answers.add(Answers.breaks(Code.UNAVAILABLE));
    server.answers.add(Answers.breaks(Code.UNAVAILABLE));
    server.answers.add(Answers.sends(FOUND));
    assertEquals("r", client.get("r").getRunId());
    assertEquals(3, server.requests.size());
  }

  @Test
  void givesUpAfterFourAttempts() {
    server.answers.add(Answers.breaks(Code.UNAVAILABLE));
    assertThrows(RunException.Unavailable.class, () -> client.get("r"));
    assertEquals(4, server.requests.size());
  }

  @Test
  void doesNotRetryOtherFailures() {
    server.answers.add(Answers.breaks(Code.INTERNAL));
    RunException failure = assertThrows(RunException.class, () -> client.get("r"));
    assertEquals(Code.INTERNAL, failure.code());
    assertTrue(failure.fromTransport());
    assertEquals(1, server.requests.size());
  }

  @Test
  void retriesCreationOnlyWithRequestId() {
    server.answers.add(Answers.breaks(Code.UNAVAILABLE));
    server.answers.add(Answers.sends(CreateResponse.getDefaultInstance()));
    assertThrows(RunException.Unavailable.class, () -> client.create(RunSpec.getDefaultInstance()));
    assertEquals(1, server.requests.size());

    server.answers.clear();
    server.answers.add(Answers.breaks(Code.UNAVAILABLE));
    server.answers.add(Answers.sends(CreateResponse.getDefaultInstance()));
    client.create(CreateRequest.newBuilder().setRequestId("once").build());
    assertEquals(3, server.requests.size());
  }

  @Test
  void adminCallsHaveDeadlinesRetriesAndErrors() {
    server.answers.add(Answers.breaks(Code.UNAVAILABLE));
    server.answers.add(Answers.sends(GetServerInfoResponse.getDefaultInstance()));
    client.getServerInfo();
    assertEquals(2, server.requests.size());
    server.answers.clear();
    server.answers.add(Answers.refuses(Code.FAILED_PRECONDITION, "INVALID_TRANSITION"));
    assertThrows(RunException.FailedPrecondition.class, () -> client.delete("r"));
    assertEquals(List.of(true, true, true), server.deadlines);
  }

  @Test
  void doesNotWaitBeyondDeadline() {
    RetryInfo late =
        RetryInfo.newBuilder().setRetryDelay(Duration.newBuilder().setSeconds(60)).build();
    server.answers.add(Answers.refuses(Code.UNAVAILABLE, "STORE_UNAVAILABLE", late));
    RunException failure = assertThrows(RunException.Unavailable.class, () -> client.get("r"));
    assertEquals(java.time.Duration.ofSeconds(60), failure.retryAfter().orElseThrow());
    assertEquals(1, server.requests.size());
  }

  @Test
  void callEndsAtDeadline() {
    server.answers.add(Answers.begins());
    RunClient limited = client.withTimeout(java.time.Duration.ofMillis(50));
    assertEquals(
        Code.DEADLINE_EXCEEDED, assertThrows(RunException.class, () -> limited.get("r")).code());
  }

  @Test
  void sendsTokenWithCallsAndStreamsAndDeadlineWithCallsOnly() {
    server.answers.add(Answers.sends(FOUND));
    server.answers.add(Answers.sends(StreamStatusResponse.getDefaultInstance()));
    client.get("r");
    client.watch("r").next();
    assertEquals(List.of(true, false), server.deadlines);
    assertEquals(List.of("Bearer secret", "Bearer secret"), server.authorizations);
  }

  @Test
  void fetchesPagesAsNeeded() {
    server.answers.add(Answers.sends(page("1", "a", "b")));
    RunPages runs = client.listByThread("t");
    assertEquals(List.of("a"), runs.stream().limit(1).map(Run::getRunId).toList());
    assertEquals(1, server.requests.size());

    server.answers.add(Answers.sends(page("2")));
    server.answers.add(Answers.sends(page("", "c")));
    assertEquals(List.of("a", "b", "c"), runs.stream().map(Run::getRunId).toList());
    Stream<String> tokens =
        server.requests.stream().map(request -> ((ListByThreadRequest) request).getPageToken());
    assertEquals(List.of("", "", "1", "2"), tokens.toList());
  }

  private static ListByThreadResponse page(String next, String... ids) {
    ListByThreadResponse.Builder page = ListByThreadResponse.newBuilder().setNextPageToken(next);
    for (String id : ids) {
      page.addRunsBuilder().setRunId(id);
    }
    return page.build();
  }

  @Test
  void failureHasSubclassReasonAndMetadata() {
    Map<Code, Class<? extends RunException>> kinds =
        Map.of(
            Code.NOT_FOUND, RunException.NotFound.class,
            Code.FAILED_PRECONDITION, RunException.FailedPrecondition.class,
            Code.OUT_OF_RANGE, RunException.class);
    kinds.forEach(
        (code, kind) -> {
          server.answers.clear();
          server.answers.add(Answers.refuses(code, "SOME_NEWER_REASON"));
          RunException failure = assertThrows(RunException.class, () -> client.get("r"));
          assertEquals(kind, failure.getClass());
          assertEquals(code + " SOME_NEWER_REASON: reported (request id q)", failure.getMessage());
          assertEquals("q", failure.requestId());
          assertEquals(Map.of("run_id", "r"), failure.metadata());
        });
  }

  @Test
  void threadBusyIsRecognizedByReason() {
    server.answers.add(Answers.refuses(Code.ABORTED, "THREAD_BUSY"));
    RunException failure = assertThrows(RunException.class, () -> client.get("r"));
    assertInstanceOf(RunException.ThreadBusy.class, failure);
  }

  @Test
  void listsViolations() {
    BadRequest.Builder request = BadRequest.newBuilder();
    request.addFieldViolationsBuilder().setField("a").setDescription("is bad");
    server.answers.add(Answers.refuses(Code.INVALID_ARGUMENT, "INVALID_REQUEST", request.build()));
    var failure = assertThrows(RunException.InvalidArgument.class, () -> client.get("r"));
    assertEquals(List.of(new RunException.Violation("a", "is bad")), failure.violations());
  }

  @Test
  void ignoresDetailsThatDoNotParse() {
    server.answers.add(Answers.fails(Code.NOT_FOUND, new byte[] {-1, -1}));
    var failure = assertThrows(RunException.NotFound.class, () -> client.get("r"));
    assertEquals("", failure.reason());
  }
}
