package io.github.runsvc.client;

import io.grpc.Deadline;
import io.grpc.StatusException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** The attempts at one call, within the deadline of the call. */
final class Attempts {
  private static final int MAX = 4;

  private final Connections connections;
  private final Deadline deadline;
  private final boolean repeatable;
  private final Backoff backoff = new Backoff();
  private int made;

  /**
   * Starts the timeout.
   *
   * @param repeatable whether the call may be sent twice; otherwise there is one attempt
   */
  Attempts(Connections connections, Duration timeout, boolean repeatable) {
    this.connections = connections;
    this.deadline = Deadline.after(Lengths.nanos(timeout), TimeUnit.NANOSECONDS);
    this.repeatable = repeatable;
  }

  /** Returns the call's answer, or throws the failure of its last attempt. */
  <T> T make(Call<T> call) {
    while (true) {
      try {
        return authorized(call);
      } catch (RunException failure) {
        pauseAfter(failure);
      }
    }
  }

  /**
   * Sends the call with a token. If the server refuses the token, it has done nothing: if there may
   * be a better token, sends the call once more.
   */
  private <T> T authorized(Call<T> call) {
    String token = connections.tokens.token();
    try {
      return send(call, token);
    } catch (RunException refusal) {
      String renewed = refusal.isUnauthenticated() ? connections.tokens.renewed(token) : null;
      if (renewed == null) {
        throw refusal;
      }
      return send(call, renewed);
    }
  }

  private <T> T send(Call<T> call, String token) {
    try {
      return call.send(deadline, token);
    } catch (StatusException status) {
      boolean isOwn = connections.isClosed() || Thread.currentThread().isInterrupted();
      RunException failure = RunException.of(status);
      throw isOwn ? failure : failure.uncancelled();
    }
  }

  /** Waits until the next attempt is due, or throws the failure if that was the last attempt. */
  private void pauseAfter(RunException failure) {
    if (!repeatable || ++made == MAX || !failure.isWorthRetry()) {
      throw failure;
    }
    Duration pause = backoff.pause(failure);
    if (deadline.timeRemaining(TimeUnit.NANOSECONDS) <= pause.toNanos()) {
      throw failure;
    }
    try {
      TimeUnit.NANOSECONDS.sleep(pause.toNanos());
      connections.retryNow();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw failure;
    }
  }

  /** One attempt. */
  interface Call<T> {
    T send(Deadline deadline, String token) throws StatusException;
  }
}
