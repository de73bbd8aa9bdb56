package io.github.runsvc.client;

import io.github.runsvc.v1.Run;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.BiConsumer;

/**
 * Configures a {@link Worker}.
 *
 * @param assistants the assistants whose runs the worker performs, at most 16; if there are none,
 *     the worker performs the runs of every assistant, and those without one
 * @param concurrency the largest number of runs at a time
 * @param lease the time after which the server takes a run away if it has received no heartbeat, 1
 *     second to 1 hour
 * @param workerId identifies the worker as the holder of its runs; every process needs its own id
 * @param fence whether a handler is interrupted when its lease may have expired; see {@link
 *     ExecuteOptions}
 * @param grace how long runs in progress may go on after the worker was stopped
 * @param claimWait how long the server holds a claim until there is a run, at most one minute
 * @param ended called after each run with the results of {@link RunClient#execute(String,
 *     ExecuteOptions, Handler)}: the run as reported, and the failure or null
 */
public record WorkerOptions(
    List<String> assistants,
    int concurrency,
    Duration lease,
    String workerId,
    boolean fence,
    Duration grace,
    Duration claimWait,
    BiConsumer<Run, Throwable> ended) {
  private static final Duration LEASE = Duration.ofSeconds(30);
  private static final Duration GRACE = Duration.ofSeconds(30);
  private static final Duration WAIT = Duration.ofSeconds(20);

  /** Checks the options. */
  public WorkerOptions {
    assistants = List.copyOf(assistants);
    if (concurrency < 1) {
      throw new IllegalArgumentException("The concurrency must be positive, but is " + concurrency);
    }
    // The fence counts from the time at which a claim was sent.
    Duration third = lease.dividedBy(3);
    claimWait = fence && claimWait.compareTo(third) > 0 ? third : claimWait;
  }

  /**
   * Returns options for the runs of these assistants: one run at a time, a lease, a grace period of
   * 30 seconds each, a new worker id of host, process id and a random part, and a log of failures.
   */
  public static WorkerOptions forAssistants(String... assistants) {
    if (assistants.length == 0) {
      throw new IllegalArgumentException("Name an assistant, or use forAnyAssistant()");
    }
    return of(List.of(assistants));
  }

  /** Returns options for the runs of every assistant, otherwise as {@link #forAssistants}. */
  public static WorkerOptions forAnyAssistant() {
    return of(List.of());
  }

  private static WorkerOptions of(List<String> assistants) {
    return new WorkerOptions(
        assistants, 1, LEASE, WorkerIds.next(), false, GRACE, WAIT, WorkerOptions::log);
  }

  private static void log(Run run, Throwable failure) {
    if (failure != null) {
      System.getLogger(Worker.class.getName())
          .log(System.Logger.Level.ERROR, "Run " + run.getRunId() + " was not performed", failure);
    }
  }

  /** Returns these options with another number of runs at a time. */
  public WorkerOptions withConcurrency(int concurrency) {
    return new WorkerOptions(
        assistants, concurrency, lease, workerId, fence, grace, claimWait, ended);
  }

  /** Returns these options with another lease. */
  public WorkerOptions withLease(Duration lease) {
    return new WorkerOptions(
        assistants, concurrency, lease, workerId, fence, grace, claimWait, ended);
  }

  /** Returns these options with another worker id. */
  public WorkerOptions withWorkerId(String workerId) {
    return new WorkerOptions(
        assistants, concurrency, lease, workerId, fence, grace, claimWait, ended);
  }

  /** Returns these options with a fence. */
  public WorkerOptions withFence() {
    return new WorkerOptions(
        assistants, concurrency, lease, workerId, true, grace, claimWait, ended);
  }

  /** Returns these options with another grace period. */
  public WorkerOptions withGrace(Duration grace) {
    return new WorkerOptions(
        assistants, concurrency, lease, workerId, fence, grace, claimWait, ended);
  }

  /** Returns these options with another wait of a claim. */
  public WorkerOptions withClaimWait(Duration claimWait) {
    return new WorkerOptions(
        assistants, concurrency, lease, workerId, fence, grace, claimWait, ended);
  }

  /** Returns these options with another function that is called after each run. */
  public WorkerOptions withEnded(BiConsumer<Run, Throwable> ended) {
    return new WorkerOptions(
        assistants, concurrency, lease, workerId, fence, grace, claimWait, ended);
  }

  /** Returns the options of the execution of each run. */
  ExecuteOptions ofExecution() {
    return new ExecuteOptions(Optional.of(workerId), Optional.of(lease), fence);
  }
}
