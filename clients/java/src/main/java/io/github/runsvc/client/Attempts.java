package io.github.runsvc.client;

import io.grpc.Deadline;
import io.grpc.StatusException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** The attempts at one call, which all have to fit into its deadline. */
final class Attempts {
  private static final int MOST = 4;

  private final Connection connection;
  private final Deadline deadline;
  private final boolean repeatable;
  private final Backoff backoff = new Backoff();
  private int made;

  /**
   * Attempts that end within the timeout.
   *
   * @param repeatable whether making the call twice does what making it once does; otherwise there
   *     is one attempt
   */
  Attempts(Connection connection, Duration timeout, boolean repeatable) {
    this.connection = connection;
    this.deadline = Deadline.after(timeout.toNanos(), TimeUnit.NANOSECONDS);
    this.repeatable = repeatable;
  }

  /** The call's answer, or the failure of its last attempt. */
  <T> T at(Call<T> call) {
    while (true) {
      try {
        return call.within(deadline);
      } catch (StatusException status) {
        pauseAfter(RunException.of(status));
      }
    }
  }

  /** Waits until the next attempt is due, or throws the failure when that was the last. */
  private void pauseAfter(RunException failure) {
    if (!repeatable || ++made == MOST || !(failure instanceof RunException.Unavailable)) {
      throw failure;
    }
    Duration pause = backoff.pause(failure);
    if (deadline.timeRemaining(TimeUnit.NANOSECONDS) <= pause.toNanos()) {
      throw failure;
    }
    try {
      TimeUnit.NANOSECONDS.sleep(pause.toNanos());
      connection.retryNow();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw failure;
    }
  }

  /** One attempt. */
  interface Call<T> {
    T within(Deadline deadline) throws StatusException;
  }
}
