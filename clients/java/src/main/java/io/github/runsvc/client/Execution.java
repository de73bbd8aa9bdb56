package io.github.runsvc.client;

import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.UpdateProgressRequest;

/** A run at work, as its {@link Work} sees it. */
public final class Execution {
  private final RunClient client;
  private final Worker worker;
  private final Run run;
  private final Thread thread = Thread.currentThread();
  private final Object reporting = new Object();
  private long sequence;
  private Stop stop;
  private boolean done;

  /** Of the present thread. */
  Execution(RunClient client, Worker worker, Run run) {
    this.client = client;
    this.worker = worker;
    this.run = run;
  }

  /** Why the work is to stop. */
  enum Stop {
    CANCELLED,
    LOST
  }

  /**
   * What executes a run. When others have ended the run, its thread is interrupted: it stops, and
   * returns or throws.
   */
  public interface Work {
    /**
     * Does the work.
     *
     * @return the final usage, also of a cancelled run; null when there is none to tell
     * @throws Exception makes the run ERROR, with its message
     */
    Progress run(Execution execution) throws Exception;
  }

  /** Executes the run on the present thread; see {@link RunClient#work}. */
  static Run perform(RunClient client, Worker worker, String runId, Work work) {
    Reports reports = new Reports(client, worker, runId);
    Execution execution = new Execution(client, worker, reports.start());
    Supervision supervision = new Supervision(client, worker, execution);
    Progress usage = null;
    Throwable failure = null;
    try {
      usage = work.run(execution);
    } catch (Exception | Error thrown) {
      failure = thrown;
    }
    Stop why = execution.end();
    supervision.close();
    // The report is due also when the thread was interrupted by others.
    boolean interrupted =
        Thread.interrupted() || why == null && failure instanceof InterruptedException;
    try {
      return reported(reports, why, usage, failure);
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static Run reported(Reports reports, Stop why, Progress usage, Throwable failure) {
    if (why == Stop.LOST) {
      throw new RunLostException(reports.runId());
    }
    Run run = why == Stop.CANCELLED ? reports.acknowledge(usage) : reports.complete(usage, failure);
    if (failure instanceof Error error) {
      throw error;
    }
    return run;
  }

  /** The run as it was started. */
  public Run run() {
    return run;
  }

  /** Whether others have ended the run, so that the work is to stop. Costs nothing. */
  public synchronized boolean isStopped() {
    return stop != null;
  }

  /**
   * Reports usage, in the order of the calls. False when it was not applied, for the run is over.
   */
  public boolean report(Progress progress) {
    synchronized (reporting) {
      UpdateProgressRequest.Builder request =
          UpdateProgressRequest.newBuilder()
              .setRunId(run.getRunId())
              .setProgress(progress)
              .setSequence(++sequence);
      worker.id().ifPresent(request::setWorkerId);
      return client.updateProgress(request.build()).getApplied();
    }
  }

  /** Takes note of the run as the server tells it. */
  void learn(Run told) {
    switch (told.getStatus()) {
      case RUN_STATUS_PENDING, RUN_STATUS_RUNNING -> {}
      case RUN_STATUS_INTERRUPTED -> stop(Stop.CANCELLED);
      default -> stop(Stop.LOST);
    }
  }

  /** Tells the work to stop, unless it has ended. */
  synchronized void stop(Stop why) {
    if (!done && stop == null) {
      stop = why;
      thread.interrupt();
    }
  }

  /**
   * The work has ended: whether, and why, it was told to stop; null when it was not. No interrupt
   * follows.
   */
  synchronized Stop end() {
    done = true;
    if (stop != null) {
      Thread.interrupted();
    }
    return stop;
  }
}
