package io.github.runsvc.client;

import io.github.runsvc.v1.Run;
import java.time.Duration;
import java.util.Optional;

/**
 * Configures an execution.
 *
 * @param workerId identifies the executor and makes it the run's holder: the server then rejects
 *     reports from others. Every process needs its own id; {@link #forNewWorker} makes one. An
 *     empty id makes no holder.
 * @param lease the time after which the server ends the run as ERROR if it has received no
 *     heartbeat, 1 second to 1 hour. It needs a worker id. If it is empty, the lease set when the
 *     run was created applies, if any.
 * @param fence whether the handler is interrupted when the lease may have expired by this program's
 *     own monotonic clock, because the server has confirmed no renewal in time. Otherwise the
 *     handler keeps running while the server is unavailable.
 */
public record ExecuteOptions(Optional<String> workerId, Optional<Duration> lease, boolean fence) {
  /** Makes options without a fence. */
  public ExecuteOptions(Optional<String> workerId, Optional<Duration> lease) {
    this(workerId, lease, false);
  }

  /**
   * Returns options with a new worker id and no lease. The id consists of host, process id and a
   * random part, so that no other executor has it.
   */
  public static ExecuteOptions forNewWorker() {
    return forWorker(WorkerIds.next());
  }

  /** Returns options with a worker id and no lease. */
  public static ExecuteOptions forWorker(String workerId) {
    return new ExecuteOptions(Optional.of(workerId), Optional.empty());
  }

  /** Returns options without a worker id: the run gets no holder. */
  public static ExecuteOptions withoutWorker() {
    return new ExecuteOptions(Optional.empty(), Optional.empty());
  }

  /** Returns these options with another lease. */
  public ExecuteOptions withLease(Duration lease) {
    return new ExecuteOptions(workerId, Optional.of(lease), fence);
  }

  /** Returns these options with a fence. */
  public ExecuteOptions withFence() {
    return new ExecuteOptions(workerId, lease, true);
  }

  /** Returns the lease in force: that of these options, or else that of the run. */
  Optional<Duration> leaseOf(Run run) {
    var ttl = run.getLease().getTtl();
    return lease.or(
        () ->
            run.hasLease()
                ? Optional.of(Duration.ofSeconds(ttl.getSeconds(), ttl.getNanos()))
                : Optional.empty());
  }
}
