package io.github.runsvc.client;

import io.github.runsvc.client.Execution.Stop;
import io.github.runsvc.v1.HeartbeatRequest;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.StatusEvent;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.StreamStatusResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Background threads beside a handler: one watches the run, one renews its lease, and one stops the
 * handler if the lease is fenced.
 */
final class Supervision implements AutoCloseable {
  /** The handler keeps running without a server: such time does not count towards lease expiry. */
  private static final Duration UNLIMITED = Duration.ofDays(36500);

  /** The shortest time between two heartbeats. */
  private static final Duration MIN_INTERVAL = Duration.ofMillis(1);

  private final RunClient client;
  private final ExecuteOptions options;
  private final Execution execution;
  private final CountDownLatch closed = new CountDownLatch(1);
  private final List<Thread> threads = new ArrayList<>();

  /** The watch in use. Guarded by this. */
  private Watch watch;

  /** When the last confirmed renewal of the lease was sent, by {@link System#nanoTime}. */
  private volatile long renewed;

  Supervision(RunClient client, ExecuteOptions options, Execution execution, long renewed) {
    this.renewed = renewed;
    this.client = client;
    this.options = options;
    this.execution = execution;
  }

  /** Starts the threads. */
  void start() {
    start("watch", this::watch);
    options
        .workerId()
        .ifPresent(
            id -> options.leaseOf(execution.run()).ifPresent(lease -> startLease(id, lease)));
  }

  private void startLease(String workerId, Duration lease) {
    start("lease", () -> keepLease(workerId, lease));
    if (options.fence()) {
      start("fence", () -> fence(lease));
    }
  }

  private void start(String name, Runnable task) {
    Thread thread = new Thread(task, "runsvc " + name + " " + execution.run().getRunId());
    thread.setDaemon(true);
    thread.start();
    threads.add(thread);
  }

  private void watch() {
    StreamStatusRequest.Builder request =
        StreamStatusRequest.newBuilder()
            .setRunId(execution.run().getRunId())
            .setAfterRevision(execution.run().getRevision());
    Backoff backoff = new Backoff();
    Duration pause = Duration.ZERO;
    try {
      while (!closed.await(pause.toNanos(), TimeUnit.NANOSECONDS)) {
        try (Watch opened = open(request.build())) {
          opened.forEach(this::accept);
          return;
        } catch (RunException failure) {
          if (failure.endsExecution()) {
            execution.stop(Stop.LOST);
            return;
          }
          pause = backoff.pause(failure);
          // Start again from the run's present state.
          request.clearAfterRevision();
        }
      }
    } catch (InterruptedException ended) {
      // Interrupted by close.
    }
  }

  private synchronized Watch open(StreamStatusRequest request) {
    watch = client.watch(request, UNLIMITED);
    if (closed.getCount() == 0) {
      watch.close();
    }
    return watch;
  }

  private void accept(StreamStatusResponse event) {
    if (event.getEvent() == StatusEvent.STATUS_EVENT_DELETED) {
      execution.stop(Stop.LOST);
    } else if (event.hasRun()) {
      execution.observe(event.getRun());
    }
  }

  /** Sends heartbeats. A heartbeat without an answer does not stop the handler by itself. */
  private void keepLease(String workerId, Duration lease) {
    HeartbeatRequest.Builder beat =
        HeartbeatRequest.newBuilder().setRunId(execution.run().getRunId()).setWorkerId(workerId);
    execution.attempt().ifPresent(beat::setAttempt);
    HeartbeatRequest request = beat.build();
    Duration interval = lease.dividedBy(3);
    interval = interval.compareTo(MIN_INTERVAL) > 0 ? interval : MIN_INTERVAL;
    Duration timeout = client.timeout();
    RunClient limited = client.withTimeout(interval.compareTo(timeout) < 0 ? interval : timeout);
    try {
      while (!closed.await(Lengths.nanos(interval), TimeUnit.NANOSECONDS)) {
        try {
          long sent = System.nanoTime();
          Run run = limited.heartbeat(request);
          renewed = sent;
          execution.observe(run);
        } catch (RunException failure) {
          if (failure.endsExecution()) {
            execution.stop(Stop.LOST);
            return;
          }
        }
      }
    } catch (InterruptedException ended) {
      // Interrupted by close, during a heartbeat.
    }
  }

  /**
   * Stops the handler when the lease may have expired. The lease lasts at least from the moment in
   * which its last renewal was sent.
   */
  private void fence(Duration lease) {
    long length = Lengths.nanos(lease);
    try {
      long remaining;
      do {
        remaining = length - (System.nanoTime() - renewed);
        if (remaining <= 0) {
          execution.stop(Stop.FENCED);
          return;
        }
      } while (!closed.await(remaining, TimeUnit.NANOSECONDS));
    } catch (InterruptedException ended) {
      // Interrupted by close.
    }
  }

  /** Ends the threads and waits for them. */
  @Override
  public void close() {
    closed.countDown();
    synchronized (this) {
      if (watch != null) {
        watch.close();
      }
    }
    threads.forEach(Thread::interrupt);
    boolean interrupted = Thread.interrupted();
    for (Thread thread : threads) {
      while (thread.isAlive()) {
        try {
          thread.join();
        } catch (InterruptedException again) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
