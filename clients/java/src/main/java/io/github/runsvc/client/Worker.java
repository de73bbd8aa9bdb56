package io.github.runsvc.client;

import io.github.runsvc.client.Execution.Stop;
import io.github.runsvc.v1.Run;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/**
 * Claims runs and performs them, each on a thread of its own; see {@link RunClient#worker}.
 *
 * <p>{@link #run} claims until {@link #stop} is called. It survives outages of the server,
 * restarts, and credentials that expire.
 */
public final class Worker {
  private final RunClient client;
  private final WorkerOptions options;
  private final Handler handler;
  private final Claims claims;
  private final ExecutorService threads;
  private final Set<Execution> executions = ConcurrentHashMap.newKeySet();

  /** The runs in progress. Guarded by this. */
  private int running;

  /** The state after {@link #stop}; null before. Guarded by this. */
  private WorkerHealth.State end;

  /** The grace period is over. */
  private volatile boolean isReleasing;

  Worker(RunClient client, WorkerOptions options, Handler handler) {
    this.client = client;
    this.options = options;
    this.handler = handler;
    this.claims = new Claims(client, options);
    this.threads =
        Executors.newCachedThreadPool(
            task -> new Thread(task, "runsvc worker " + options.workerId()));
  }

  /**
   * Claims and performs runs until the worker is stopped. Then it claims no more, lets the runs in
   * progress go on for the grace period, interrupts the handlers of the others, and gives their
   * runs back. Returns when all handlers have returned. An interrupt of the calling thread stops
   * the worker; a further one ends the grace period. A worker runs once.
   *
   * @throws RunException if the server rejects the claims. The worker then stops in the same way.
   */
  public void run() {
    boolean interrupted = false;
    try {
      claimRuns();
    } catch (InterruptedException stopped) {
      interrupted = true;
    } finally {
      stop();
      setEnd(WorkerHealth.State.DRAINING);
      interrupted |= drain();
      setEnd(WorkerHealth.State.STOPPED);
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Stops the worker, and returns at once. */
  public void stop() {
    claims.stop();
    wake();
  }

  /** Returns the present state of the worker. */
  public synchronized WorkerHealth health() {
    WorkerHealth health = claims.health(running);
    return end == null
        ? health
        : new WorkerHealth(
            end, running, health.lastClaimAt(), health.disconnectedSince(), health.failure());
  }

  private void claimRuns() throws InterruptedException {
    for (int room = waitForRoom(); room > 0; room = waitForRoom()) {
      Claims.Claimed claimed = claims.claim(room);
      for (Run run : claimed.runs()) {
        if (claims.isStopped()) {
          giveBack(run);
        } else {
          start(run, claimed.sent());
        }
      }
    }
  }

  /**
   * Waits until there is room for another run, and returns how much; 0 if the worker is stopped.
   */
  private synchronized int waitForRoom() throws InterruptedException {
    while (running >= options.concurrency() && !claims.isStopped()) {
      wait();
    }
    return claims.isStopped() ? 0 : options.concurrency() - running;
  }

  private synchronized void wake() {
    notifyAll();
  }

  private synchronized void addRunning(int number) {
    running += number;
    notifyAll();
  }

  private synchronized void setEnd(WorkerHealth.State state) {
    end = state;
  }

  private void start(Run run, long sent) {
    addRunning(1);
    threads.execute(
        () -> {
          Run done = run;
          Throwable failure = null;
          try {
            done = perform(run, sent);
          } catch (Throwable thrown) {
            failure = thrown;
          }
          addRunning(-1);
          options.ended().accept(done, failure);
        });
  }

  private Run perform(Run run, long sent) {
    Execution execution = new Execution(client, options.ofExecution(), run, true);
    executions.add(execution);
    try {
      if (isReleasing) {
        execution.stop(Stop.RELEASED);
      }
      return execution.execute(sent, handler);
    } finally {
      executions.remove(execution);
    }
  }

  /** Gives back a run that was claimed and not begun. */
  private void giveBack(Run run) {
    try {
      options.ended().accept(Reports.ofClaimed(client, options.ofExecution(), run).release(), null);
    } catch (RunException failure) {
      // Otherwise the run has ended, or the server has given it to another worker.
      if (!failure.endsExecution()) {
        options.ended().accept(run, failure);
      }
    }
  }

  /** Waits until all handlers have returned. Returns whether the thread was interrupted. */
  private boolean drain() {
    threads.shutdown();
    boolean interrupted = false;
    try {
      if (threads.awaitTermination(Lengths.nanos(options.grace()), TimeUnit.NANOSECONDS)) {
        return false;
      }
    } catch (InterruptedException hurried) {
      interrupted = true;
    }
    isReleasing = true;
    executions.forEach(execution -> execution.stop(Stop.RELEASED));
    while (true) {
      try {
        if (threads.awaitTermination(1, TimeUnit.DAYS)) {
          return interrupted;
        }
      } catch (InterruptedException again) {
        interrupted = true;
      }
    }
  }
}
