package io.github.runsvc.client;

import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.UpdateProgressRequest;
import io.github.runsvc.v1.UpdateProgressResponse;
import io.grpc.Status;
import java.time.Instant;
import java.util.concurrent.TimeUnit;

/** A run at work, as its {@link Work} sees it. */
public final class Execution {
  private final RunClient client;
  private final Worker worker;
  private final Run run;
  private final Thread thread = Thread.currentThread();
  private final Object reporting = new Object();

  /** Above those of whoever executed the run before, under the same name. */
  private long sequence = now();

  private Progress reported = Progress.getDefaultInstance();
  private Stop stop;
  private boolean done;

  /** Of the present thread. */
  Execution(RunClient client, Worker worker, Run run) {
    this.client = client;
    this.worker = worker;
    this.run = run;
  }

  /** Nanoseconds since 1970. */
  private static long now() {
    Instant now = Instant.now();
    return TimeUnit.SECONDS.toNanos(now.getEpochSecond()) + now.getNano();
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
     * @return the final usage beyond what it reported, also of a cancelled run; null when there is
     *     none to tell
     * @throws Exception makes the run ERROR, with its message
     */
    Progress run(Execution execution) throws Exception;
  }

  /** Executes the run on the present thread; see {@link RunClient#work}. */
  static Run perform(RunClient client, Worker worker, String runId, Work work) {
    Reports reports = new Reports(client, worker, runId);
    Execution execution = new Execution(client, worker, reports.start());
    Supervision supervision = new Supervision(client, worker, execution);
    try {
      return execution.perform(reports, work);
    } finally {
      // The lease is kept until the end is reported.
      supervision.close();
    }
  }

  private Run perform(Reports reports, Work work) {
    Progress last = null;
    Throwable failure = null;
    try {
      last = work.run(this);
    } catch (Exception | Error thrown) {
      failure = thrown;
    }
    Stop why = end();
    // The report is due also when the thread was interrupted by others.
    boolean interrupted =
        Thread.interrupted() || why == null && failure instanceof InterruptedException;
    try {
      return reported(reports, why, usage(last), failure);
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static Run reported(Reports reports, Stop why, Progress usage, Throwable failure) {
    try {
      Run run = reports.finish(why, usage, failure);
      if (failure instanceof Error error) {
        throw error;
      }
      return run;
    } catch (RunException | RunLostException unreported) {
      if (failure != null) {
        unreported.addSuppressed(failure);
      }
      throw unreported;
    }
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
   * Reports usage, in the order of the calls: the fields that are set replace what was reported of
   * them before. False when it was not applied, for the run is over, or there is no server now: the
   * next report, at the latest that of the end, makes up for it then.
   */
  public boolean report(Progress progress) {
    synchronized (reporting) {
      Progress total = reported.toBuilder().mergeFrom(progress).build();
      Progress before = reported;
      reported = total;
      try {
        return sent(total);
      } catch (RunException failure) {
        // Interrupted: the usage is what it is, whoever is in a hurry.
        if (failure.code() != Status.Code.CANCELLED) {
          reported = before;
        }
        throw failure;
      }
    }
  }

  private boolean sent(Progress total) {
    UpdateProgressRequest.Builder request =
        UpdateProgressRequest.newBuilder()
            .setRunId(run.getRunId())
            .setProgress(total)
            .setSequence(++sequence);
    worker.id().ifPresent(request::setWorkerId);
    try {
      UpdateProgressResponse answer = client.updateProgress(request.build());
      if (answer.hasRun()) {
        learn(answer.getRun());
      }
      return answer.getApplied();
    } catch (RunException failure) {
      if (failure.isLosing()) {
        stop(Stop.LOST);
      } else if (!failure.isPassing()) {
        throw failure;
      }
      return false;
    }
  }

  /** The final usage; null when there is nothing to tell. */
  private Progress usage(Progress last) {
    synchronized (reporting) {
      Progress.Builder total = reported.toBuilder();
      if (last != null) {
        total.mergeFrom(last);
      }
      Progress usage = total.build();
      return usage.equals(Progress.getDefaultInstance()) ? null : usage;
    }
  }

  /** Takes note of the run as the server tells it. */
  void learn(Run told) {
    switch (told.getStatus()) {
      case RUN_STATUS_INTERRUPTED -> stop(Stop.CANCELLED);
      case RUN_STATUS_SUCCESS, RUN_STATUS_ERROR, RUN_STATUS_TIMEOUT -> stop(Stop.LOST);
      // One that a newer server has is not taken for an end.
      default -> {}
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
