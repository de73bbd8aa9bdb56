package io.github.runsvc.client;

import io.github.runsvc.client.Execution.Stop;
import io.github.runsvc.v1.HeartbeatRequest;
import io.github.runsvc.v1.StatusEvent;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.StreamStatusResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** What goes on beside the work: it hears of the run's end, and keeps its lease. */
final class Supervision implements AutoCloseable {
  /** Without a server the work goes on: such a time counts for no lease. */
  private static final Duration FOREVER = Duration.ofDays(36500);

  private final RunClient client;
  private final Execution execution;
  private final CountDownLatch over = new CountDownLatch(1);
  private final List<Thread> threads = new ArrayList<>();

  /** The one that is read. Guarded by this. */
  private Watch watch;

  Supervision(RunClient client, Worker worker, Execution execution) {
    this.client = client;
    this.execution = execution;
    start("watch", this::listen);
    worker
        .id()
        .ifPresent(
            id ->
                worker
                    .leaseOf(execution.run())
                    .ifPresent(lease -> start("lease", () -> beat(id, lease))));
  }

  private void start(String name, Runnable work) {
    Thread thread = new Thread(work, "runsvc " + name + " " + execution.run().getRunId());
    thread.setDaemon(true);
    thread.start();
    threads.add(thread);
  }

  private void listen() {
    StreamStatusRequest.Builder request =
        StreamStatusRequest.newBuilder()
            .setRunId(execution.run().getRunId())
            .setAfterRevision(execution.run().getRevision());
    Backoff backoff = new Backoff();
    Duration pause = Duration.ZERO;
    try {
      while (!over.await(pause.toNanos(), TimeUnit.NANOSECONDS)) {
        try (Watch opened = opened(request.build())) {
          opened.forEach(this::hear);
          return;
        } catch (RunException failure) {
          if (failure.isLosing()) {
            execution.stop(Stop.LOST);
            return;
          }
          pause = backoff.pause(failure);
          // Whatever else ends a watch, a new one begins with the run's present state.
          request.clearAfterRevision();
        }
      }
    } catch (InterruptedException ended) {
      // By close.
    }
  }

  private synchronized Watch opened(StreamStatusRequest request) {
    watch = client.watch(request, FOREVER);
    if (over.getCount() == 0) {
      watch.close();
    }
    return watch;
  }

  private void hear(StreamStatusResponse event) {
    if (event.getEvent() == StatusEvent.STATUS_EVENT_DELETED) {
      execution.stop(Stop.LOST);
    } else if (event.hasRun()) {
      execution.learn(event.getRun());
    }
  }

  /** Sends heartbeats, also while nobody answers: only an answer stops the work. */
  private void beat(String workerId, Duration lease) {
    HeartbeatRequest request =
        HeartbeatRequest.newBuilder()
            .setRunId(execution.run().getRunId())
            .setWorkerId(workerId)
            .build();
    Duration interval = lease.dividedBy(3);
    Duration timeout = client.timeout();
    RunClient impatient = client.withTimeout(interval.compareTo(timeout) < 0 ? interval : timeout);
    try {
      while (!over.await(interval.toNanos(), TimeUnit.NANOSECONDS)) {
        try {
          execution.learn(impatient.heartbeat(request));
        } catch (RunException failure) {
          if (failure.isLosing()) {
            execution.stop(Stop.LOST);
            return;
          }
        }
      }
    } catch (InterruptedException ended) {
      // By close, during a heartbeat.
    }
  }

  /** Ends it, and waits for that. */
  @Override
  public void close() {
    over.countDown();
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
