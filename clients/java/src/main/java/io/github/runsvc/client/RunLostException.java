package io.github.runsvc.client;

/** The run that was executed has ended by other hands, was removed, or is another worker's now. */
public final class RunLostException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** By an answer that said so; null when an event did. */
  RunLostException(String runId, RunException cause) {
    super("Run " + runId + " is no longer this worker's", cause);
  }
}
