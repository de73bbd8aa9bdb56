package io.github.runsvc.client;

import io.github.runsvc.client.Execution.Stop;
import io.github.runsvc.v1.AcknowledgeCancelRequest;
import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunStatus;
import io.github.runsvc.v1.SetStatusRequest;
import io.github.runsvc.v1.UpdateProgressRequest;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetEncoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * A worker's reports of one run. They are idempotent, and repeated while trouble passes and
 * patience lasts.
 */
final class Reports {
  /** How long reports of the end are repeated at least. */
  private static final Duration OUTAGE = Duration.ofSeconds(60);

  /** The longest error that the server takes, in bytes. */
  private static final int LONGEST_ERROR = 16 << 10;

  private final RunClient client;
  private final Worker worker;
  private final String runId;

  /** Of the start: as long as a call may take. */
  private Duration patience;

  Reports(RunClient client, Worker worker, String runId) {
    this.client = client;
    this.worker = worker;
    this.runId = runId;
    this.patience = client.timeout();
  }

  Run start() {
    SetStatusRequest.Builder request =
        SetStatusRequest.newBuilder().setRunId(runId).setStatus(RunStatus.RUN_STATUS_RUNNING);
    worker.id().ifPresent(request::setWorkerId);
    worker.lease().ifPresent(lease -> request.setLeaseTtl(proto(lease)));
    Run run = repeated(() -> client.setStatus(request.build()).getRun());
    Duration lease = worker.leaseOf(run).orElse(Duration.ZERO);
    patience = lease.compareTo(OUTAGE) > 0 ? lease : OUTAGE;
    return run;
  }

  /** The end, in the way that what stopped the work asks for. */
  Run finish(Stop why, Progress usage, Throwable failure) {
    RunException refusal = null;
    try {
      if (why != Stop.LOST) {
        return why == Stop.CANCELLED ? acknowledge(usage) : complete(usage, failure);
      }
    } catch (RunException refused) {
      if (!refused.isLosing()) {
        throw refused;
      }
      refusal = refused;
    }
    leave(usage);
    throw new RunLostException(runId, refusal);
  }

  /**
   * Says once what a lost run cost. Whose it is now, its usage is too: that this is refused is no
   * news.
   */
  private void leave(Progress usage) {
    if (usage == null) {
      return;
    }
    UpdateProgressRequest.Builder request =
        UpdateProgressRequest.newBuilder().setRunId(runId).setProgress(usage).setFinal(true);
    worker.id().ifPresent(request::setWorkerId);
    try {
      client.updateProgress(request.build());
    } catch (RunException refused) {
      // The run is lost, which is thrown.
    }
  }

  /** The end as the work saw it; a cancel that came with the report is acknowledged. */
  private Run complete(Progress usage, Throwable failure) {
    CompleteRequest.Builder request =
        CompleteRequest.newBuilder().setRunId(runId).setStatus(RunStatus.RUN_STATUS_SUCCESS);
    if (failure != null) {
      request.setStatus(RunStatus.RUN_STATUS_ERROR).setError(text(failure));
    }
    if (usage != null) {
      request.setProgress(usage);
    }
    worker.id().ifPresent(request::setWorkerId);
    try {
      return repeated(() -> client.complete(request.build()).getRun());
    } catch (RunException.FailedPrecondition refused) {
      if ("INTERRUPTED".equals(refused.metadata().get("from"))) {
        return acknowledge(usage);
      }
      throw refused;
    }
  }

  /** That the work of a cancelled run has stopped. */
  private Run acknowledge(Progress usage) {
    AcknowledgeCancelRequest.Builder request =
        AcknowledgeCancelRequest.newBuilder().setRunId(runId);
    if (usage != null) {
      request.setProgress(usage);
    }
    worker.id().ifPresent(request::setWorkerId);
    return repeated(() -> client.acknowledgeCancel(request.build()).getRun());
  }

  private <T> T repeated(Supplier<T> report) {
    Backoff backoff = new Backoff();
    long began = System.nanoTime();
    while (true) {
      try {
        return report.get();
      } catch (RunException failure) {
        Duration pause = backoff.pause(failure);
        long end = System.nanoTime() - began + pause.toNanos();
        if (!failure.isPassing() || end >= patience.toNanos()) {
          throw failure;
        }
        pause(pause, failure);
        client.retryNow();
      }
    }
  }

  private static void pause(Duration pause, RunException failure) {
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

  /**
   * What the server takes as a run's error: a report must not fail for the length or the letters of
   * a text.
   */
  static String text(Throwable failure) {
    String text =
        failure.getMessage() == null ? failure.getClass().getName() : failure.getMessage();
    CharsetEncoder encoder =
        StandardCharsets.UTF_8
            .newEncoder()
            .onMalformedInput(CodingErrorAction.REPLACE)
            .onUnmappableCharacter(CodingErrorAction.REPLACE);
    ByteBuffer bytes = ByteBuffer.allocate(LONGEST_ERROR);
    // Stops before the letter that would not fit.
    encoder.encode(CharBuffer.wrap(text), bytes, true);
    return new String(bytes.array(), 0, bytes.position(), StandardCharsets.UTF_8);
  }
}
