package io.github.runsvc.client;

import io.github.runsvc.client.Execution.Stop;
import io.github.runsvc.v1.HeartbeatRequest;
import io.github.runsvc.v1.StatusEvent;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.StreamStatusResponse;
import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** What goes on beside the work: it hears of the run's end, and keeps its lease. */
final class Supervision implements AutoCloseable {
  /** Without a server the work goes on: that is for the lease to judge. */
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
    worker.lease().ifPresent(lease -> start("lease", () -> beat(worker.id().orElse(""), lease)));
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
    while (over.getCount() > 0) {
      try (Watch opened = opened(request.build())) {
        opened.forEach(this::hear);
        return;
      } catch (RunException failure) {
        if (failure.code() != Status.Code.OUT_OF_RANGE) {
          execution.stop(Stop.LOST);
          return;
        }
        // The log does not reach back that far any more: the run's present state tells as well.
        request.clearAfterRevision();
      }
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

  /** Sends heartbeats, and stops the work when the lease has run out without an answer. */
  private void beat(String workerId, Duration lease) {
    HeartbeatRequest request =
        HeartbeatRequest.newBuilder()
            .setRunId(execution.run().getRunId())
            .setWorkerId(workerId)
            .build();
    long interval = lease.toNanos() / 3;
    RunClient impatient = client.withTimeout(Duration.ofNanos(interval));
    long renewed = System.nanoTime();
    try {
      while (!over.await(interval, TimeUnit.NANOSECONDS)) {
        long sent = System.nanoTime();
        try {
          execution.learn(impatient.heartbeat(request));
          renewed = sent;
        } catch (RunException.NotFound | RunException.FailedPrecondition refused) {
          execution.stop(Stop.LOST);
        } catch (RunException failure) {
          if (System.nanoTime() - renewed > lease.toNanos()) {
            execution.stop(Stop.LOST);
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
