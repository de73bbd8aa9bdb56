package io.github.runsvc.client;

/** The run ended elsewhere while it was executed, was removed, or is held by another executor. */
public final class RunLostException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * @param cause the answer that showed the loss; null if an event of the watch did
   */
  RunLostException(String runId, RunException cause) {
    super("Run " + runId + " is lost: it ended elsewhere or another executor holds it", cause);
  }
}
