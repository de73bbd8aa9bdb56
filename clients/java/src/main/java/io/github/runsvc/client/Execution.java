package io.github.runsvc.client;

import com.google.protobuf.Struct;
import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunStatus;
import io.github.runsvc.v1.UpdateProgressRequest;
import io.github.runsvc.v1.UpdateProgressResponse;
import io.grpc.Status;
import java.time.Instant;
import java.util.OptionalInt;
import java.util.concurrent.TimeUnit;

/** A run while its {@link Handler} executes it. */
public final class Execution {
  private static final String FENCED_TEXT =
      "The lease may have expired: no renewal was confirmed in time";

  private final RunClient client;
  private final ExecuteOptions options;
  private final Thread thread = Thread.currentThread();
  private final boolean isClaimed;

  /** Guards the sequence and the usage, and keeps the reports in order. */
  private final Object reporting = new Object();

  /** Starts from the clock, so that it exceeds that of an earlier execution of the same run. */
  private long sequence = nanosSinceEpoch();

  private Progress usage = Progress.getDefaultInstance();
  private Struct result;
  private String stopReason;
  private volatile Run run;
  private Stop stop;
  private boolean done;

  /**
   * Executes the run on the calling thread.
   *
   * @param isClaimed whether a worker has claimed the run. Reports then carry the attempt.
   */
  Execution(RunClient client, ExecuteOptions options, Run run, boolean isClaimed) {
    this.client = client;
    this.options = options;
    this.run = run;
    this.isClaimed = isClaimed;
  }

  private static long nanosSinceEpoch() {
    Instant now = Instant.now();
    return TimeUnit.SECONDS.toNanos(now.getEpochSecond()) + now.getNano();
  }

  /** The reason to stop the handler. */
  enum Stop {
    /** The run was cancelled, or displaced by a newer run of its thread. */
    CANCELLED,
    /** The run ended in another way, was removed, or is held by another executor. */
    LOST,
    /** The lease may have expired: no renewal was confirmed in time. */
    FENCED,
    /** The worker stops, and gives the run back. */
    RELEASED
  }

  /**
   * Executes the run on the calling thread; see {@link RunClient#execute(String, ExecuteOptions,
   * Handler)}.
   */
  static Run execute(RunClient client, ExecuteOptions options, String runId, Handler handler) {
    Reports reports = new Reports(client, options, runId);
    Execution execution = new Execution(client, options, reports.start(), false);
    return execution.supervised(
        reports,
        reports.startSent(),
        started -> {
          started.fetchInput(reports);
          return handler.handle(started);
        });
  }

  /**
   * Executes a run that a worker has claimed.
   *
   * @param sent when the claim was sent, by {@link System#nanoTime}
   */
  Run execute(long sent, Handler handler) {
    return supervised(Reports.ofClaimed(client, options, run), sent, handler);
  }

  private Run supervised(Reports reports, long renewed, Handler handler) {
    // The lease must be renewed until the end is reported.
    try (Supervision supervision = new Supervision(client, options, this, renewed)) {
      return execute(
          reports,
          started -> {
            supervision.start();
            return isStopped() ? null : handler.handle(started);
          });
    }
  }

  /** Adds the input to the run: the answer to the start does not contain it. */
  private void fetchInput(Reports reports) {
    try {
      Run found = reports.repeat(() -> client.get(run.getRunId()));
      if (found.hasKwargs()) {
        run = run.toBuilder().setKwargs(found.getKwargs()).build();
      }
    } catch (RunException failure) {
      if (failure.endsExecution()) {
        stop(Stop.LOST);
      }
      throw new IllegalStateException(
          "Cannot read the input of the run: " + failure.getMessage(), failure);
    }
  }

  private Run execute(Reports reports, Handler handler) {
    Progress last = null;
    Throwable failure = null;
    try {
      last = handler.handle(this);
      checkSize(merged(last));
    } catch (Throwable thrown) {
      last = thrown instanceof UsageTooLarge ? null : last;
      failure = thrown;
    }
    Stop why = finish();
    // Clear an interrupt by the caller until the end is reported.
    boolean interrupted =
        Thread.interrupted() || why == null && failure instanceof InterruptedException;
    try {
      Throwable reported =
          why == Stop.FENCED && (failure == null || failure instanceof InterruptedException)
              ? new IllegalStateException(FENCED_TEXT, failure)
              : failure;
      if (interrupted) {
        reports.hurry();
      }
      return reportEnd(reports, why, outcome(last), reported);
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private Run reportEnd(Reports reports, Stop why, Outcome outcome, Throwable failure) {
    boolean rethrows = failure != null && !(failure instanceof Exception);
    try {
      Run reported =
          Uninterrupted.call(
              "report " + run.getRunId(),
              () -> reports.finish(why, outcome, failure),
              reports::hurry);
      if (!rethrows) {
        // Answers to reports do not contain the input.
        return run.hasKwargs() ? reported.toBuilder().setKwargs(run.getKwargs()).build() : reported;
      }
    } catch (RunException | RunLostException unreported) {
      if (!rethrows) {
        if (failure != null) {
          unreported.addSuppressed(failure);
        }
        throw unreported;
      }
      failure.addSuppressed(unreported);
    }
    throw Execution.<RuntimeException>unchecked(failure);
  }

  /** Returns the failure as if it were unchecked. */
  @SuppressWarnings("unchecked")
  private static <T extends Throwable> T unchecked(Throwable failure) throws T {
    throw (T) failure;
  }

  /** Returns the run as it was started, with its kwargs. */
  public Run run() {
    return run;
  }

  /**
   * Whether the handler should stop, because the run ended elsewhere or its lease is fenced. Makes
   * no call.
   */
  public synchronized boolean isStopped() {
    return stop != null;
  }

  /**
   * Reports usage. The fields that are set replace those of earlier reports, for each model of
   * by_model too.
   *
   * @return false if the server did not apply the report, because the run has ended or the server
   *     is unavailable. In the second case the next report, at the latest that of the end, includes
   *     this one.
   * @throws RunException if the server rejects the report, or with code CANCELLED if the thread was
   *     interrupted
   * @throws IllegalArgumentException if the report is larger than the server accepts, almost 4 MiB
   */
  public boolean report(Progress progress) {
    synchronized (reporting) {
      Progress total = merged(progress);
      checkSize(total);
      Progress before = usage;
      usage = total;
      try {
        return send(total);
      } catch (RunException failure) {
        // After an interrupt the usage still counts: the tokens are spent.
        if (failure.code() != Status.Code.CANCELLED) {
          usage = before;
        }
        throw failure;
      }
    }
  }

  private boolean send(Progress total) {
    UpdateProgressRequest.Builder request =
        UpdateProgressRequest.newBuilder()
            .setRunId(run.getRunId())
            .setProgress(total)
            .setSequence(++sequence);
    options.workerId().ifPresent(request::setWorkerId);
    attempt().ifPresent(request::setAttempt);
    try {
      UpdateProgressResponse answer = client.updateProgress(request.build());
      if (answer.hasRun()) {
        observe(answer.getRun());
      }
      return answer.getApplied();
    } catch (RunException failure) {
      if (failure.endsExecution()) {
        stop(Stop.LOST);
      } else if (!failure.isOutage()) {
        throw failure;
      }
      return false;
    }
  }

  /**
   * Sets what the run produced, at most 1 MiB and 16 levels deep. It is reported if the handler
   * returns. If the server rejects it, the run ends without it; see {@link
   * RunClient#execute(String, ExecuteOptions, Handler)}.
   */
  public void setResult(Struct result) {
    synchronized (reporting) {
      this.result = result;
    }
  }

  /**
   * Sets why the run stopped, in a word of the executor's own such as token_capped, of at most 128
   * characters. It is reported with any end.
   */
  public void setStopReason(String reason) {
    synchronized (reporting) {
      this.stopReason = reason;
    }
  }

  /** Returns the outcome with the given usage merged, which may be null. */
  private Outcome outcome(Progress last) {
    Progress total = merged(last);
    boolean isKnown = !total.equals(Progress.getDefaultInstance());
    synchronized (reporting) {
      return new Outcome(isKnown ? total : null, result, stopReason);
    }
  }

  /** Returns the usage so far with the given progress merged, which may be null. */
  private Progress merged(Progress progress) {
    synchronized (reporting) {
      return progress == null ? usage : Outcome.merge(usage, progress);
    }
  }

  /** Rejects usage that no report can carry: the server's answer would look transient. */
  private static void checkSize(Progress total) {
    if (total.getSerializedSize() > Outcome.MAX_SIZE) {
      throw new UsageTooLarge(total.getSerializedSize());
    }
  }

  private static final class UsageTooLarge extends IllegalArgumentException {
    private static final long serialVersionUID = 1L;

    UsageTooLarge(int size) {
      super(
          "The progress has %d bytes, but at most %d can be sent; shorten its texts"
              .formatted(size, Outcome.MAX_SIZE));
    }
  }

  /** Returns the attempt that reports carry, if any. */
  OptionalInt attempt() {
    return isClaimed ? OptionalInt.of(run.getAttempt()) : OptionalInt.empty();
  }

  /** Stops the handler if the run has ended. */
  void observe(Run current) {
    switch (current.getStatus()) {
      case RUN_STATUS_INTERRUPTED -> stop(Stop.CANCELLED);
      case RUN_STATUS_SUCCESS, RUN_STATUS_ERROR, RUN_STATUS_TIMEOUT -> stop(Stop.LOST);
      // A status that only a newer server knows does not count as an end.
      default -> {
        if (isElsewhere(current)) {
          stop(Stop.LOST);
        }
      }
    }
  }

  /** Whether the server has taken the run away for another attempt. */
  private boolean isElsewhere(Run current) {
    boolean isPending = current.getStatus() == RunStatus.RUN_STATUS_PENDING;
    return isPending && current.getRevision() > run.getRevision()
        || current.getAttempt() > run.getAttempt();
  }

  /** Interrupts the handler, unless it has returned or was interrupted before. */
  synchronized void stop(Stop why) {
    if (!done && stop == null) {
      stop = why;
      thread.interrupt();
    }
  }

  /**
   * Records that the handler has returned. No interrupt follows.
   *
   * @return the reason for which the handler was stopped, or null
   */
  synchronized Stop finish() {
    done = true;
    if (stop != null) {
      Thread.interrupted();
    }
    return stop;
  }
}
