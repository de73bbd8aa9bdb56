package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Message;
import io.github.runsvc.v1.AcknowledgeCancelRequest;
import io.github.runsvc.v1.AcknowledgeCancelResponse;
import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.CompleteResponse;
import io.github.runsvc.v1.GetRequest;
import io.github.runsvc.v1.GetResponse;
import io.github.runsvc.v1.HeartbeatRequest;
import io.github.runsvc.v1.HeartbeatResponse;
import io.github.runsvc.v1.Lease;
import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunStatus;
import io.github.runsvc.v1.SetStatusRequest;
import io.github.runsvc.v1.SetStatusResponse;
import io.github.runsvc.v1.StatusEvent;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.StreamStatusResponse;
import io.github.runsvc.v1.UpdateProgressRequest;
import io.github.runsvc.v1.UpdateProgressResponse;
import io.grpc.Status.Code;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ExecutionTest {
  private static final ExecuteOptions OPTIONS = ExecuteOptions.forWorker("w");
  private static final Progress USAGE = Progress.newBuilder().setTotalTokens(7).build();

  private ScriptedServer server;
  private RunClient client;

  @BeforeEach
  void start() throws IOException {
    server = new ScriptedServer();
    client = server.client().build();
    Run started = run(RunStatus.RUN_STATUS_RUNNING);
    answer(
        SetStatusRequest.class,
        Answers.sends(SetStatusResponse.newBuilder().setRun(started).build()));
    answer(GetRequest.class, Answers.sends(GetResponse.getDefaultInstance()));
    answer(StreamStatusRequest.class, Answers.begins());
    answer(UpdateProgressRequest.class, Answers.sends(UpdateProgressResponse.getDefaultInstance()));
    answer(
        CompleteRequest.class,
        Answers.sends(
            CompleteResponse.newBuilder().setRun(run(RunStatus.RUN_STATUS_SUCCESS)).build()));
    answer(
        AcknowledgeCancelRequest.class,
        Answers.sends(
            AcknowledgeCancelResponse.newBuilder()
                .setRun(run(RunStatus.RUN_STATUS_INTERRUPTED))
                .build()));
  }

  @AfterEach
  void stop() {
    client.close();
    server.close();
  }

  private void answer(Class<? extends Message> request, Consumer<StreamObserver<?>> answer) {
    server.answersTo.put(request, new LinkedBlockingQueue<>(List.of(answer)));
  }

  private static Run run(RunStatus status) {
    return Run.newBuilder().setRunId("r").setStatus(status).setRevision(2).build();
  }

  private static StreamStatusResponse changed(RunStatus status) {
    return StreamStatusResponse.newBuilder()
        .setEvent(StatusEvent.STATUS_EVENT_CHANGED)
        .setRevision(3)
        .setRun(run(status))
        .build();
  }

  private <T> T last(Class<T> request) {
    List<T> all = server.requests.stream().filter(request::isInstance).map(request::cast).toList();
    return all.get(all.size() - 1);
  }

  /** A handler that runs until it is interrupted. */
  private static Progress wait(Execution execution) {
    try {
      new CountDownLatch(1).await();
    } catch (InterruptedException stopped) {
      assertTrue(execution.isStopped());
    }
    return USAGE;
  }

  @Test
  void reportsResultOfHandler() {
    assertEquals(
        RunStatus.RUN_STATUS_SUCCESS, client.execute("r", OPTIONS, run -> USAGE).getStatus());
    CompleteRequest report = last(CompleteRequest.class);
    assertEquals(RunStatus.RUN_STATUS_SUCCESS, report.getStatus());
    assertEquals(USAGE, report.getProgress());
    assertEquals("w", report.getWorkerId());
  }

  @Test
  void reportsExceptionOfHandler() {
    client.execute(
        "r",
        OPTIONS,
        run -> {
          throw new IOException("kaputt");
        });
    assertEquals(RunStatus.RUN_STATUS_ERROR, last(CompleteRequest.class).getStatus());
    assertEquals("kaputt", last(CompleteRequest.class).getError());
  }

  @Test
  void reportsAndRethrowsErrorOfHandler() {
    Handler handler =
        run -> {
          throw new StackOverflowError("deep");
        };
    assertThrows(StackOverflowError.class, () -> client.execute("r", OPTIONS, handler));
    assertEquals("deep", last(CompleteRequest.class).getError());
  }

  @Test
  void limitsErrorText() {
    assertEquals(NullPointerException.class.getName(), FailureText.of(new NullPointerException()));
    String text = FailureText.of(new IOException("x" + "ü\uD83D\uDE00".repeat(20_000) + "\uD83D"));
    assertEquals(64 << 10, text.getBytes(StandardCharsets.UTF_8).length, 4);
    assertFalse(text.contains("\uFFFD"));
  }

  @ParameterizedTest
  @EnumSource(
      names = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNKNOWN", "INTERNAL"})
  void repeatsReportAfterTransientFailure(Code code) {
    CompleteResponse done =
        CompleteResponse.newBuilder().setRun(run(RunStatus.RUN_STATUS_SUCCESS)).build();
    answer(CompleteRequest.class, Answers.breaks(code));
    server.answersTo.get(CompleteRequest.class).add(Answers.sends(done));
    assertEquals(done.getRun(), client.execute("r", OPTIONS, run -> null));
  }

  @Test
  void repeatsStartForTimeoutOfCall() {
    answer(SetStatusRequest.class, Answers.breaks(Code.UNAVAILABLE));
    RunClient limited = client.withTimeout(Duration.ofMillis(200));
    assertThrows(RunException.Unavailable.class, () -> limited.execute("r", OPTIONS, run -> null));
    assertTrue(server.requests.size() > 1);
  }

  @Test
  void renewsLeaseOfCreation() {
    com.google.protobuf.Duration ttl =
        com.google.protobuf.Duration.newBuilder().setNanos(300_000_000).build();
    Run leased =
        run(RunStatus.RUN_STATUS_RUNNING).toBuilder()
            .setLease(Lease.newBuilder().setTtl(ttl))
            .build();
    answer(
        SetStatusRequest.class,
        Answers.sends(SetStatusResponse.newBuilder().setRun(leased).build()));
    Run cancelled = run(RunStatus.RUN_STATUS_INTERRUPTED);
    answer(
        HeartbeatRequest.class,
        Answers.sends(HeartbeatResponse.newBuilder().setRun(cancelled).build()));
    assertEquals(cancelled, client.execute("r", OPTIONS, ExecutionTest::wait));
  }

  @Test
  void handlerContinuesWithoutServerUntilAnswer() {
    answer(HeartbeatRequest.class, Answers.breaks(Code.UNAVAILABLE));
    for (int beat = 0; beat < 6; beat++) {
      server.answersTo.get(HeartbeatRequest.class).add(Answers.breaks(Code.INTERNAL));
    }
    server
        .answersTo
        .get(HeartbeatRequest.class)
        .add(Answers.refuses(Code.FAILED_PRECONDITION, "NOT_HOLDER"));
    ExecuteOptions leased = OPTIONS.withLease(Duration.ofMillis(90));
    assertThrows(RunLostException.class, () -> client.execute("r", leased, ExecutionTest::wait));
    assertEquals(8, server.requests.stream().filter(HeartbeatRequest.class::isInstance).count());
  }

  @ParameterizedTest
  @EnumSource(names = {"OUT_OF_RANGE", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED", "INTERNAL"})
  void startsNewWatchAfterOtherFailures(Code code) {
    answer(StreamStatusRequest.class, Answers.refuses(code, ""));
    server
        .answersTo
        .get(StreamStatusRequest.class)
        .add(Answers.sends(changed(RunStatus.RUN_STATUS_INTERRUPTED)));
    Run run = client.execute("r", OPTIONS, ExecutionTest::wait);
    assertEquals(RunStatus.RUN_STATUS_INTERRUPTED, run.getStatus());
    assertFalse(last(StreamStatusRequest.class).hasAfterRevision());
  }

  @Test
  void nextReportIncludesUnsentProgress() {
    answer(UpdateProgressRequest.class, Answers.breaks(Code.UNAVAILABLE));
    Handler handler =
        execution -> {
          assertFalse(execution.report(Progress.newBuilder().setTotalInputTokens(3).build()));
          return USAGE;
        };
    client.execute("r", OPTIONS, handler);
    assertEquals(
        USAGE.toBuilder().setTotalInputTokens(3).build(),
        last(CompleteRequest.class).getProgress());
  }

  @Test
  void acknowledgementIncludesInterruptedProgress() {
    answer(UpdateProgressRequest.class, Answers.begins());
    answer(StreamStatusRequest.class, Answers.sends(changed(RunStatus.RUN_STATUS_INTERRUPTED)));
    Handler handler =
        execution -> {
          execution.report(USAGE);
          return null;
        };
    client.execute("r", OPTIONS, handler);
    assertEquals(USAGE, last(AcknowledgeCancelRequest.class).getProgress());
  }

  @Test
  void reportThrowsRejection() {
    answer(UpdateProgressRequest.class, Answers.refuses(Code.INVALID_ARGUMENT, "INVALID_REQUEST"));
    Handler handler =
        execution -> {
          assertThrows(RunException.InvalidArgument.class, () -> execution.report(USAGE));
          return null;
        };
    client.execute("r", OPTIONS, handler);
    assertFalse(last(CompleteRequest.class).hasProgress());
  }

  @Test
  void sequenceOfLaterExecutionIsHigher() {
    answer(UpdateProgressRequest.class, Answers.sends(UpdateProgressResponse.getDefaultInstance()));
    long before = 0;
    for (int executed = 0; executed < 2; executed++) {
      client.execute(
          "r",
          OPTIONS,
          execution -> {
            execution.report(USAGE);
            return null;
          });
      long sequence = last(UpdateProgressRequest.class).getSequence();
      assertTrue(sequence > before);
      before = sequence;
    }
  }

  @Test
  void lostRunIsThrownAndItsUsageIsSentAsFinal() {
    answer(CompleteRequest.class, Answers.refusesFrom("TIMEOUT"));
    answer(UpdateProgressRequest.class, Answers.sends(UpdateProgressResponse.getDefaultInstance()));
    IOException own = new IOException("kaputt");
    Handler handler =
        execution -> {
          execution.report(USAGE);
          throw own;
        };
    RunLostException lost =
        assertThrows(RunLostException.class, () -> client.execute("r", OPTIONS, handler));
    assertEquals(List.of(own), List.of(lost.getSuppressed()));
    assertEquals(USAGE, last(CompleteRequest.class).getProgress());
    assertTrue(last(UpdateProgressRequest.class).getFinal());
    assertEquals(USAGE, last(UpdateProgressRequest.class).getProgress());
  }

  @Test
  void cancelInterruptsHandlerAndIsAcknowledged() {
    answer(StreamStatusRequest.class, Answers.sends(changed(RunStatus.RUN_STATUS_INTERRUPTED)));
    Run run = client.execute("r", OPTIONS, ExecutionTest::wait);
    assertEquals(RunStatus.RUN_STATUS_INTERRUPTED, run.getStatus());
    assertEquals(USAGE, last(AcknowledgeCancelRequest.class).getProgress());
    assertFalse(Thread.currentThread().isInterrupted());
  }

  @Test
  void cancelArrivesByHeartbeat() {
    Run cancelled = run(RunStatus.RUN_STATUS_INTERRUPTED);
    answer(
        HeartbeatRequest.class,
        Answers.sends(HeartbeatResponse.newBuilder().setRun(cancelled).build()));
    ExecuteOptions leased = OPTIONS.withLease(Duration.ofMillis(300));
    assertEquals(cancelled, client.execute("r", leased, ExecutionTest::wait));
  }

  @Test
  void cancelDuringReportIsAcknowledged() {
    answer(CompleteRequest.class, Answers.refusesFrom("INTERRUPTED"));
    Run run = client.execute("r", OPTIONS, execution -> null);
    assertEquals(RunStatus.RUN_STATUS_INTERRUPTED, run.getStatus());
  }

  @Test
  void doesNotReportEndOfLostRun() {
    answer(StreamStatusRequest.class, Answers.sends(changed(RunStatus.RUN_STATUS_ERROR)));
    assertThrows(RunLostException.class, () -> client.execute("r", OPTIONS, ExecutionTest::wait));
    assertTrue(server.requests.stream().noneMatch(CompleteRequest.class::isInstance));
  }

  @Test
  void reportsEndAfterInterrupt() {
    client.execute(
        "r",
        OPTIONS,
        run -> {
          throw new InterruptedException("hurry");
        });
    assertEquals("hurry", last(CompleteRequest.class).getError());
    assertTrue(Thread.interrupted());
  }

  @Test
  void throwsFailureOfStart() {
    answer(SetStatusRequest.class, Answers.refuses(Code.FAILED_PRECONDITION, "NOT_HOLDER"));
    assertThrows(
        RunException.FailedPrecondition.class, () -> client.execute("r", OPTIONS, run -> null));
  }
}
