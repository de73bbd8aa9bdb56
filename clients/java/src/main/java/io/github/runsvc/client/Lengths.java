package io.github.runsvc.client;

import java.time.Duration;

/** Lengths of time of any size: a length that is too long becomes the longest one. */
final class Lengths {
  private static final Duration LONGEST = Duration.ofNanos(Long.MAX_VALUE);

  private Lengths() {}

  /** Returns the nanoseconds of a length, or the largest or smallest number of nanoseconds. */
  static long nanos(Duration length) {
    if (length.compareTo(LONGEST) > 0) {
      return Long.MAX_VALUE;
    }
    return length.compareTo(LONGEST.negated()) < 0 ? -Long.MAX_VALUE : length.toNanos();
  }

  /** Returns the length of a timeout, which must be positive. */
  static Duration timeout(Duration length) {
    if (length.isZero() || length.isNegative()) {
      throw new IllegalArgumentException(
          "The timeout must be positive, but is " + length + "; change it or RUNSVC_TIMEOUT");
    }
    return length;
  }
}
