package io.github.runsvc.client;

import com.google.protobuf.Message;
import io.github.runsvc.client.Execution.Stop;
import io.github.runsvc.v1.AcknowledgeCancelRequest;
import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.ReleaseRequest;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunStatus;
import io.github.runsvc.v1.SetStatusRequest;
import io.github.runsvc.v1.UpdateProgressRequest;
import java.time.Duration;
import java.util.OptionalInt;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * An executor's reports on the start and the end of a run. They are idempotent, and repeated after
 * transient failures.
 */
final class Reports {
  /** The shortest time for which a report of the end is repeated. */
  private static final Duration MIN_RETRY_TIME = Duration.ofSeconds(60);

  private final RunClient client;
  private final ExecuteOptions options;
  private final String runId;

  /** How long a report is repeated. For the start: the timeout of a call. */
  private Duration retryTime;

  /** When the accepted start was sent. */
  private long startSent;

  private boolean isStarted;

  /** The attempt that reports carry; empty if no worker has claimed the run. */
  private OptionalInt attempt = OptionalInt.empty();

  /** When to give up because the caller waits for the end; by {@link System#nanoTime}. */
  private volatile Long hurriedUntil;

  Reports(RunClient client, ExecuteOptions options, String runId) {
    this.client = client;
    this.options = options;
    this.runId = runId;
    this.retryTime = client.timeout();
  }

  /** Reports the start, and returns the run. */
  Run start() {
    SetStatusRequest.Builder request =
        SetStatusRequest.newBuilder().setRunId(runId).setStatus(RunStatus.RUN_STATUS_RUNNING);
    options.workerId().ifPresent(request::setWorkerId);
    options.lease().ifPresent(lease -> request.setLeaseTtl(proto(lease)));
    Run run =
        repeat(
            () -> {
              startSent = System.nanoTime();
              return client.setStatus(request.build()).getRun();
            });
    noteStart(run);
    return run;
  }

  private void noteStart(Run run) {
    Duration lease = options.leaseOf(run).orElse(Duration.ZERO);
    retryTime = lease.compareTo(MIN_RETRY_TIME) > 0 ? lease : MIN_RETRY_TIME;
    isStarted = true;
  }

  /** Returns the reports of a run that a worker has claimed. */
  static Reports ofClaimed(RunClient client, ExecuteOptions options, Run run) {
    Reports reports = new Reports(client, options, run.getRunId());
    reports.noteStart(run);
    reports.attempt = OptionalInt.of(run.getAttempt());
    return reports;
  }

  /** Limits the time in which reports are repeated to the timeout of a call from now on. */
  void hurry() {
    if (hurriedUntil == null) {
      hurriedUntil = System.nanoTime() + Lengths.nanos(client.timeout());
    }
  }

  /** Returns the time by {@link System#nanoTime} at which the accepted start was sent. */
  long startSent() {
    return startSent;
  }

  /**
   * Reports the end, and returns the run.
   *
   * @param why the reason for which the handler was stopped, or null
   */
  Run finish(Stop why, Outcome outcome, Throwable failure) {
    RunException refusal = null;
    try {
      if (why == Stop.RELEASED) {
        sendUsage(outcome.usage(), false);
        return release();
      }
      if (why != Stop.LOST) {
        return why == Stop.CANCELLED ? acknowledge(outcome) : complete(outcome, failure);
      }
    } catch (RunException refused) {
      if (!refused.endsExecution()) {
        throw refused;
      }
      refusal = refused;
    }
    sendUsage(outcome.usage(), true);
    throw new RunLostException(runId, refusal);
  }

  /** Sends usage once, whether or not the server accepts it. */
  private void sendUsage(Progress usage, boolean isFinal) {
    if (usage == null) {
      return;
    }
    UpdateProgressRequest.Builder request =
        UpdateProgressRequest.newBuilder().setRunId(runId).setProgress(usage).setFinal(isFinal);
    options.workerId().ifPresent(request::setWorkerId);
    attempt.ifPresent(request::setAttempt);
    try {
      client.updateProgress(request.build());
    } catch (RunException refused) {
      // The report that follows, or RunLostException, shows the state of the run.
    }
  }

  /** Gives the run back, and returns it. */
  Run release() {
    hurry();
    ReleaseRequest.Builder request =
        ReleaseRequest.newBuilder().setRunId(runId).setWorkerId(options.workerId().orElse(""));
    attempt.ifPresent(request::setAttempt);
    return repeat(() -> client.release(request.build()));
  }

  /** Reports the handler's outcome. If the run was cancelled meanwhile, acknowledges the cancel. */
  private Run complete(Outcome outcome, Throwable failure) {
    CompleteRequest.Builder request =
        CompleteRequest.newBuilder().setRunId(runId).setStatus(RunStatus.RUN_STATUS_SUCCESS);
    options.workerId().ifPresent(request::setWorkerId);
    attempt.ifPresent(request::setAttempt);
    if (outcome.usage() != null) {
      request.setProgress(outcome.usage());
    }
    if (outcome.stopReason() != null) {
      request.setStopReason(outcome.stopReason());
    }
    RunException.InvalidArgument unsent = null;
    if (failure != null) {
      request
          .setStatus(RunStatus.RUN_STATUS_ERROR)
          .setError(FailureText.of(failure))
          .setRetryable(RetryableException.isIn(failure));
    } else if (outcome.result() != null) {
      request.setResult(outcome.result());
      unsent = outcome.unsendable();
    }
    try {
      return repeatEnd(request, () -> client.complete(request.build()).getRun(), unsent);
    } catch (RunException.FailedPrecondition refused) {
      if ("INTERRUPTED".equals(refused.metadata().get("from"))) {
        return acknowledge(outcome);
      }
      throw refused;
    }
  }

  /** Reports that the handler of a cancelled run has stopped. */
  private Run acknowledge(Outcome outcome) {
    AcknowledgeCancelRequest.Builder request =
        AcknowledgeCancelRequest.newBuilder().setRunId(runId);
    options.workerId().ifPresent(request::setWorkerId);
    attempt.ifPresent(request::setAttempt);
    if (outcome.usage() != null) {
      request.setProgress(outcome.usage());
    }
    if (outcome.stopReason() != null) {
      request.setStopReason(outcome.stopReason());
    }
    return repeatEnd(request, () -> client.acknowledgeCancel(request.build()).getRun(), null);
  }

  /**
   * Reports the end. If the server rejects the report, reports the end without usage, result and
   * stop reason, and throws the rejection: the run must end in any case.
   *
   * @param known such a rejection that is known before; null if there is none
   */
  private Run repeatEnd(
      Message.Builder request, Supplier<Run> send, RunException.InvalidArgument known) {
    try {
      if (known != null) {
        throw known;
      }
      return repeat(send);
    } catch (RunException.InvalidArgument rejection) {
      if (Outcome.drop(request)) {
        repeat(send);
      }
      throw rejection;
    }
  }

  /** Makes a call until it succeeds, fails with a lasting error, or the retryTime is over. */
  <T> T repeat(Supplier<T> report) {
    Backoff backoff = new Backoff();
    long began = System.nanoTime();
    while (true) {
      try {
        return report.get();
      } catch (RunException failure) {
        Duration pause = backoff.pause(failure);
        boolean isWorthRetry = isStarted ? failure.isOutage() : failure.isTransient();
        if (!isWorthRetry || isOver(began, System.nanoTime() + pause.toNanos())) {
          throw failure;
        }
        sleep(pause, failure);
        client.retryNow();
      }
    }
  }

  private boolean isOver(long began, long time) {
    Long hurried = hurriedUntil;
    return time - began >= Lengths.nanos(retryTime) || hurried != null && time - hurried >= 0;
  }

  private static void sleep(Duration pause, RunException failure) {
    try {
      TimeUnit.NANOSECONDS.sleep(pause.toNanos());
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw failure;
    }
  }

  static com.google.protobuf.Duration proto(Duration duration) {
    return com.google.protobuf.Duration.newBuilder()
        .setSeconds(duration.getSeconds())
        .setNanos(duration.getNano())
        .build();
  }
}
