package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.util.Durations;
import io.github.runsvc.v1.ClaimRequest;
import io.github.runsvc.v1.ClaimResponse;
import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.GetRequest;
import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.ReleaseRequest;
import io.github.runsvc.v1.ReleaseResponse;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunStatus;
import io.github.runsvc.v1.StatusEvent;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.StreamStatusResponse;
import io.github.runsvc.v1.UpdateProgressRequest;
import io.grpc.Status.Code;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class WorkerTest {
  private static final Progress USAGE = Progress.newBuilder().setTotalTokens(7).build();

  private ExecutionServer runs;
  private Worker worker;

  /** The result of a run. The failure may be null. */
  private record End(Run run, Throwable failure) {}

  private final BlockingQueue<End> ends = new LinkedBlockingQueue<>();
  private final CompletableFuture<Void> stopped = new CompletableFuture<>();

  @BeforeEach
  void startServer() throws IOException {
    runs = new ExecutionServer();
    Run pending = ExecutionServer.run(RunStatus.RUN_STATUS_PENDING);
    runs.answers(ReleaseRequest.class, ReleaseResponse.newBuilder().setRun(pending).build());
  }

  @AfterEach
  void stop() {
    runs.close();
  }

  /** Gives these answers to claims, and then none. */
  @SafeVarargs
  @SuppressWarnings("varargs")
  private void answerClaims(Consumer<StreamObserver<?>>... answers) {
    List<Consumer<StreamObserver<?>>> all = new ArrayList<>(List.of(answers));
    all.add(Answers.begins());
    runs.server.answersTo.put(ClaimRequest.class, new LinkedBlockingQueue<>(all));
  }

  private static Consumer<StreamObserver<?>> claimed(String... runIds) {
    ClaimResponse.Builder answer = ClaimResponse.newBuilder();
    for (String runId : runIds) {
      answer
          .addRunsBuilder()
          .setRunId(runId)
          .setStatus(RunStatus.RUN_STATUS_RUNNING)
          .setRevision(2)
          .setAttempt(3);
    }
    return Answers.sends(answer.build());
  }

  private static WorkerOptions options() {
    return WorkerOptions.forAssistants("support").withWorkerId("w");
  }

  private void start(WorkerOptions options, Handler handler) {
    worker =
        runs.client.worker(
            options.withEnded((run, failure) -> ends.add(new End(run, failure))), handler);
    Thread thread =
        new Thread(
            () -> {
              try {
                worker.run();
                stopped.complete(null);
              } catch (RunException failure) {
                stopped.completeExceptionally(failure);
              }
            });
    thread.setDaemon(true);
    thread.start();
  }

  private void stopWorker() {
    worker.stop();
    stopped.join();
    assertEquals(WorkerHealth.State.STOPPED, worker.health().state());
  }

  /** A handler that runs until it is interrupted. */
  private static Progress untilStopped(CountDownLatch begun) {
    begun.countDown();
    try {
      new CountDownLatch(1).await();
    } catch (InterruptedException interrupted) {
      return USAGE;
    }
    return null;
  }

  @Test
  void performsWhatItClaims() throws InterruptedException {
    answerClaims(claimed("r1"), claimed("r2"));
    start(
        options().withLease(Duration.ofSeconds(40)),
        execution -> {
          execution.report(USAGE);
          throw new IOException("failed", new RetryableException("busy"));
        });
    ends.take();
    ends.take();
    stopWorker();
    ClaimRequest first = runs.requests(ClaimRequest.class).get(0);
    assertEquals(List.of("support"), first.getAssistantIdsList());
    assertEquals("w", first.getWorkerId());
    assertEquals(1, first.getMaxRuns());
    assertEquals(Durations.fromSeconds(40), first.getLeaseTtl());
    assertTrue(first.hasWait());
    assertEquals(Durations.ZERO, first.getWait());
    ClaimRequest second = runs.requests(ClaimRequest.class).get(1);
    assertEquals(Durations.fromSeconds(20), second.getWait());
    assertNotEquals(first.getRequestId(), second.getRequestId());
    CompleteRequest report = runs.last(CompleteRequest.class);
    assertEquals(3, report.getAttempt());
    assertTrue(report.getRetryable());
    assertEquals("failed", report.getError());
    assertEquals(3, runs.last(UpdateProgressRequest.class).getAttempt());
    assertTrue(runs.requests(GetRequest.class).isEmpty());
  }

  @Test
  void claimIsRepeatedWithItsIdThroughOutages() throws InterruptedException {
    answerClaims(Answers.breaks(Code.INTERNAL), Answers.breaks(Code.UNAUTHENTICATED), claimed("r"));
    start(options(), execution -> null);
    assertNull(ends.take().failure());
    stopWorker();
    List<ClaimRequest> claims = runs.requests(ClaimRequest.class);
    assertFalse(claims.get(0).getRequestId().isEmpty());
    assertEquals(claims.get(0), claims.get(1));
    assertEquals(claims.get(0), claims.get(2));
  }

  @Test
  void rejectedClaimStopsWorker() {
    answerClaims(Answers.refuses(Code.PERMISSION_DENIED, "PERMISSION_DENIED"));
    worker = runs.client.worker(options(), execution -> null);
    assertEquals(Code.PERMISSION_DENIED, assertThrows(RunException.class, worker::run).code());
    assertEquals(WorkerHealth.State.STOPPED, worker.health().state());
  }

  @Test
  void errorEndsItsRunOnly() throws InterruptedException {
    AssertionError error = new AssertionError("kaputt");
    answerClaims(claimed("r1"), claimed("r2"));
    start(
        options(),
        execution -> {
          if (execution.run().getRunId().equals("r1")) {
            throw error;
          }
          return null;
        });
    assertSame(error, ends.take().failure());
    assertNull(ends.take().failure());
    stopWorker();
  }

  @Test
  void takesNoMoreRunsThanItHasRoomFor() throws InterruptedException {
    CountDownLatch finish = new CountDownLatch(1);
    answerClaims(claimed("r1", "r2"), claimed("r3"));
    start(
        options().withConcurrency(3),
        execution -> {
          finish.await();
          return null;
        });
    while (worker.health().running() < 3) {
      Thread.sleep(5);
    }
    assertEquals(
        List.of(3, 1),
        runs.requests(ClaimRequest.class).stream().map(ClaimRequest::getMaxRuns).toList());
    finish.countDown();
    for (int count = 0; count < 3; count++) {
      ends.take();
    }
    stopWorker();
  }

  @Test
  void stopLetsRunsEndWithinGrace() throws InterruptedException {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    answerClaims(claimed("r"));
    start(
        options(),
        execution -> {
          begun.countDown();
          finish.await();
          return null;
        });
    begun.await();
    worker.stop();
    while (worker.health().state() != WorkerHealth.State.DRAINING) {
      Thread.sleep(5);
    }
    finish.countDown();
    assertEquals(RunStatus.RUN_STATUS_SUCCESS, ends.take().run().getStatus());
    stopWorker();
  }

  @Test
  void stopGivesRunsBackAfterGrace() throws InterruptedException {
    CountDownLatch begun = new CountDownLatch(1);
    answerClaims(claimed("r"));
    start(options().withGrace(Duration.ZERO), execution -> untilStopped(begun));
    begun.await();
    stopWorker();
    End end = ends.take();
    assertNull(end.failure());
    assertEquals(RunStatus.RUN_STATUS_PENDING, end.run().getStatus());
    ReleaseRequest released = runs.last(ReleaseRequest.class);
    assertEquals("w", released.getWorkerId());
    assertEquals(3, released.getAttempt());
    UpdateProgressRequest spent = runs.last(UpdateProgressRequest.class);
    assertEquals(USAGE, spent.getProgress());
    assertFalse(spent.getFinal());
    assertTrue(runs.requests(CompleteRequest.class).isEmpty());
  }

  @Test
  void runThatWasTakenAwayIsLost() throws InterruptedException {
    Run pending =
        ExecutionServer.run(RunStatus.RUN_STATUS_PENDING).toBuilder().setRevision(3).build();
    runs.answers(
        StreamStatusRequest.class,
        StreamStatusResponse.newBuilder()
            .setEvent(StatusEvent.STATUS_EVENT_CHANGED)
            .setRevision(3)
            .setRun(pending)
            .build());
    answerClaims(claimed("r"));
    start(options(), execution -> untilStopped(new CountDownLatch(1)));
    assertInstanceOf(RunLostException.class, ends.take().failure());
    stopWorker();
  }

  @Test
  void claimHasDeadlineAfterItsWait() {
    answerClaims(claimed("r"));
    RunClient patient = runs.client.withTimeout(Duration.ofSeconds(Long.MAX_VALUE));
    for (RunClient client : List.of(runs.client, patient)) {
      assertEquals("r", client.claim(ClaimRequest.getDefaultInstance()).get(0).getRunId());
      answerClaims(claimed("r"));
    }
  }

  @Test
  void optionsAreChecked() {
    assertThrows(IllegalArgumentException.class, () -> WorkerOptions.forAssistants());
    assertThrows(IllegalArgumentException.class, () -> options().withConcurrency(0));
    Duration lease = Duration.ofSeconds(30);
    assertEquals(Duration.ofSeconds(10), options().withLease(lease).withFence().claimWait());
  }
}
