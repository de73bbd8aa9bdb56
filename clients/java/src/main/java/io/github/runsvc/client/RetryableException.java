package io.github.runsvc.client;

/**
 * A failure of a handler after which another attempt may succeed: if the run has attempts left, it
 * becomes PENDING again instead of ending as ERROR. The cause of another exception counts too.
 */
public class RetryableException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The longest chain of causes that is searched: a chain may be a circle. */
  private static final int MAX_CAUSES = 100;

  /** Makes a failure with a message, which becomes the run's error. */
  public RetryableException(String message) {
    super(message);
  }

  /** Makes a failure with a message, which becomes the run's error, and a cause. */
  public RetryableException(String message, Throwable cause) {
    super(message, cause);
  }

  /** Whether the failure or one of its causes is retryable. */
  static boolean isIn(Throwable failure) {
    try {
      Throwable cause = failure;
      for (int count = 0; cause != null && count < MAX_CAUSES; count++) {
        if (cause instanceof RetryableException) {
          return true;
        }
        cause = cause.getCause();
      }
    } catch (RuntimeException hostile) {
      // A cause that cannot be read is none.
    }
    return false;
  }
}
