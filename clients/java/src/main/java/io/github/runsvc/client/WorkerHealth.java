package io.github.runsvc.client;

import java.time.Instant;
import java.util.Optional;

/**
 * The state of a {@link Worker}.
 *
 * @param state the state
 * @param running the number of runs in progress
 * @param lastClaimAt when the server last answered a claim, with runs or without
 * @param disconnectedSince when the present series of failed claims began; empty if the last claim
 *     was answered
 * @param failure the failure of the last claim
 */
public record WorkerHealth(
    State state,
    int running,
    Optional<Instant> lastClaimAt,
    Optional<Instant> disconnectedSince,
    Optional<RunException> failure) {
  /** The states of a worker. */
  public enum State {
    /** The server has answered no claim yet. */
    STARTING,
    /** The worker claims and performs runs. */
    WORKING,
    /** The last claim failed. Runs in progress go on. */
    DISCONNECTED,
    /** The worker was stopped and waits for its runs. */
    DRAINING,
    /** All handlers have returned. */
    STOPPED
  }
}
