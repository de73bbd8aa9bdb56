package io.github.runsvc.client;

import io.github.runsvc.v1.ClaimRequest;
import io.github.runsvc.v1.Run;
import io.grpc.Context;
import io.grpc.Context.CancellableContext;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** The claims of a worker, and the answers as a part of its health. */
final class Claims {
  /** The largest number of runs that one claim may ask for. */
  private static final int MAX_RUNS = 32;

  private final RunClient client;
  private final WorkerOptions options;
  private final CountDownLatch stopped = new CountDownLatch(1);

  /** Ends a claim in progress. */
  private final CancellableContext context = Context.ROOT.withCancellation();

  private Instant lastClaimAt;
  private Instant disconnectedSince;
  private RunException failure;

  Claims(RunClient client, WorkerOptions options) {
    this.client = client;
    this.options = options;
  }

  /**
   * Runs that were claimed, and the time by {@link System#nanoTime} at which the claim was sent.
   */
  record Claimed(List<Run> runs, long sent) {}

  /** Ends the claim in progress. No other follows. */
  void stop() {
    stopped.countDown();
    context.cancel(null);
  }

  boolean isStopped() {
    return stopped.getCount() == 0;
  }

  /**
   * Asks for runs. Repeats the claim through outages, with the same request id: an answer may have
   * been lost. Returns no run if the claims were stopped.
   */
  Claimed claim(int room) throws InterruptedException {
    ClaimRequest.Builder request =
        ClaimRequest.newBuilder()
            .setWorkerId(options.workerId())
            .addAllAssistantIds(options.assistants())
            .setAnyAssistant(options.assistants().isEmpty())
            .setMaxRuns(Math.min(room, MAX_RUNS))
            .setLeaseTtl(Reports.proto(options.lease()))
            .setRequestId(UUID.randomUUID().toString());
    Backoff backoff = new Backoff();
    while (!isStopped()) {
      long sent = System.nanoTime();
      try {
        List<Run> runs = send(request.setWait(Reports.proto(nextWait())).build());
        noteAnswer();
        return new Claimed(runs, sent);
      } catch (RunException failed) {
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
        pauseAfter(failed, backoff);
      }
    }
    return new Claimed(List.of(), 0);
  }

  private List<Run> send(ClaimRequest request) {
    Context before = context.attach();
    try {
      return client.claim(request);
    } finally {
      context.detach(before);
    }
  }

  private void pauseAfter(RunException failed, Backoff backoff) throws InterruptedException {
    if (isStopped()) {
      return;
    }
    if (!failed.isOutage()) {
      throw failed;
    }
    noteOutage(failed);
    stopped.await(backoff.pause(failed).toNanos(), TimeUnit.NANOSECONDS);
    client.retryNow();
  }

  /**
   * Returns how long the server may hold the next claim. The first one, and one after an outage, is
   * answered at once, and shows that there is a server.
   */
  private synchronized Duration nextWait() {
    return lastClaimAt == null || disconnectedSince != null ? Duration.ZERO : options.claimWait();
  }

  private synchronized void noteAnswer() {
    lastClaimAt = Instant.now();
    disconnectedSince = null;
    failure = null;
  }

  private synchronized void noteOutage(RunException failed) {
    failure = failed;
    if (disconnectedSince == null) {
      disconnectedSince = Instant.now();
    }
  }

  /** Returns the health of a worker that has not been stopped. */
  synchronized WorkerHealth health(int running) {
    WorkerHealth.State state = WorkerHealth.State.WORKING;
    if (disconnectedSince != null) {
      state = WorkerHealth.State.DISCONNECTED;
    } else if (lastClaimAt == null) {
      state = WorkerHealth.State.STARTING;
    }
    return new WorkerHealth(
        state,
        running,
        Optional.ofNullable(lastClaimAt),
        Optional.ofNullable(disconnectedSince),
        Optional.ofNullable(failure));
  }
}
