package io.github.runsvc.client;

import io.github.runsvc.client.Execution.Stop;
import io.github.runsvc.v1.AcknowledgeCancelRequest;
import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunStatus;
import io.github.runsvc.v1.SetStatusRequest;
import io.github.runsvc.v1.UpdateProgressRequest;
import java.time.Duration;
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
    Duration lease = options.leaseOf(run).orElse(Duration.ZERO);
    retryTime = lease.compareTo(MIN_RETRY_TIME) > 0 ? lease : MIN_RETRY_TIME;
    return run;
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
  Run finish(Stop why, Progress usage, Throwable failure) {
    RunException refusal = null;
    try {
      if (why != Stop.LOST) {
        return why == Stop.CANCELLED ? acknowledge(usage) : complete(usage, failure);
      }
    } catch (RunException refused) {
      if (!refused.endsExecution()) {
        throw refused;
      }
      refusal = refused;
    }
    sendLostUsage(usage);
    throw new RunLostException(runId, refusal);
  }

  /** Sends the usage of a lost run once, whether or not the server accepts it. */
  private void sendLostUsage(Progress usage) {
    if (usage == null) {
      return;
    }
    UpdateProgressRequest.Builder request =
        UpdateProgressRequest.newBuilder().setRunId(runId).setProgress(usage).setFinal(true);
    options.workerId().ifPresent(request::setWorkerId);
    try {
      client.updateProgress(request.build());
    } catch (RunException refused) {
      // The caller throws RunLostException in any case.
    }
  }

  /** Reports the handler's result. If the run was cancelled meanwhile, acknowledges the cancel. */
  private Run complete(Progress usage, Throwable failure) {
    CompleteRequest.Builder request =
        CompleteRequest.newBuilder().setRunId(runId).setStatus(RunStatus.RUN_STATUS_SUCCESS);
    if (failure != null) {
      request.setStatus(RunStatus.RUN_STATUS_ERROR).setError(FailureText.of(failure));
    }
    if (usage != null) {
      request.setProgress(usage);
    }
    options.workerId().ifPresent(request::setWorkerId);
    try {
      return repeatEnd(
          () -> client.complete(request.build()).getRun(),
          request.hasProgress() ? request::clearProgress : null);
    } catch (RunException.FailedPrecondition refused) {
      if ("INTERRUPTED".equals(refused.metadata().get("from"))) {
        return acknowledge(usage);
      }
      throw refused;
    }
  }

  /** Reports that the handler of a cancelled run has stopped. */
  private Run acknowledge(Progress usage) {
    AcknowledgeCancelRequest.Builder request =
        AcknowledgeCancelRequest.newBuilder().setRunId(runId);
    if (usage != null) {
      request.setProgress(usage);
    }
    options.workerId().ifPresent(request::setWorkerId);
    return repeatEnd(
        () -> client.acknowledgeCancel(request.build()).getRun(),
        request.hasProgress() ? request::clearProgress : null);
  }

  /**
   * Reports the end. If the server rejects the usage, reports the end without it, and throws the
   * rejection: the run must end in any case.
   *
   * @param dropUsage null if the report has no usage
   */
  private Run repeatEnd(Supplier<Run> report, Runnable dropUsage) {
    try {
      return repeat(report);
    } catch (RunException.InvalidArgument rejection) {
      if (dropUsage != null) {
        dropUsage.run();
        repeat(report);
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
        long end = System.nanoTime() - began + pause.toNanos();
        if (!failure.isTransient() || end >= Lengths.nanos(retryTime)) {
          throw failure;
        }
        sleep(pause, failure);
        client.retryNow();
      }
    }
  }

  private static void sleep(Duration pause, RunException failure) {
    try {
      TimeUnit.NANOSECONDS.sleep(pause.toNanos());
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw failure;
    }
  }

  private static com.google.protobuf.Duration proto(Duration duration) {
    return com.google.protobuf.Duration.newBuilder()
        .setSeconds(duration.getSeconds())
        .setNanos(duration.getNano())
        .build();
  }
}
