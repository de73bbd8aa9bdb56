package io.github.runsvc.client;

import io.github.runsvc.v1.Run;
import java.time.Duration;
import java.util.Optional;

/**
 * Who executes a run, and how often it promises to say that it is alive.
 *
 * @param id makes the worker the run's holder; empty: anyone may report
 * @param lease ends the run, as ERROR, when the worker was not heard of for so long; empty: never
 */
public record Worker(Optional<String> id, Optional<Duration> lease) {
  /** A worker that promises nothing. */
  public static Worker named(String id) {
    return new Worker(Optional.of(id), Optional.empty());
  }

  /** This worker with a lease. */
  public Worker withLease(Duration lease) {
    return new Worker(id, Optional.of(lease));
  }

  /** What it promises, or the run's creator promised for it. */
  Optional<Duration> leaseOf(Run run) {
    var ttl = run.getLease().getTtl();
    return lease.or(
        () ->
            run.hasLease()
                ? Optional.of(Duration.ofSeconds(ttl.getSeconds(), ttl.getNanos()))
                : Optional.empty());
  }
}
