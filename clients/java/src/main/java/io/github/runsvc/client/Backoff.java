package io.github.runsvc.client;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Pauses between attempts: 50 ms, doubling to 2 s. Each is shortened at random by up to half, so
 * that clients do not retry in step.
 */
final class Backoff {
  private static final long MIN = Duration.ofMillis(50).toNanos();
  private static final long MAX = Duration.ofSeconds(2).toNanos();

  /** The longest advice that is followed. */
  private static final Duration MAX_ADVICE = Duration.ofDays(1);

  private long longest = MIN;

  /** Makes the next pause the shortest one. */
  void reset() {
    longest = MIN;
  }

  /** Returns the next pause, including the server's advice in the error. */
  Duration pause(RunException error) {
    long pause = ThreadLocalRandom.current().nextLong(longest / 2, longest + 1);
    longest = Math.min(2 * longest, MAX);
    Duration advice = error.retryAfter().orElse(Duration.ZERO);
    advice = advice.compareTo(MAX_ADVICE) < 0 ? advice : MAX_ADVICE;
    return (advice.isNegative() ? Duration.ZERO : advice).plusNanos(pause);
  }
}
