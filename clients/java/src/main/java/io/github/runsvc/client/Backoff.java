package io.github.runsvc.client;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Pauses between attempts: 50 ms, doubling to 2 s, each shortened by up to half, so that clients
 * part.
 */
final class Backoff {
  private static final long FIRST = Duration.ofMillis(50).toNanos();
  private static final long LONGEST = Duration.ofSeconds(2).toNanos();

  private long longest = FIRST;

  /** Starts from the shortest again. */
  void reset() {
    longest = FIRST;
  }

  /** The pause before the next attempt; what the server asked for comes on top. */
  Duration pause(RunException error) {
    long pause = ThreadLocalRandom.current().nextLong(longest / 2, longest + 1);
    longest = Math.min(2 * longest, LONGEST);
    return error.retryAfter().orElse(Duration.ZERO).plusNanos(pause);
  }
}
