package io.github.runsvc.client;

/** The run that was executed has ended by other hands, was removed, or is another worker's now. */
public final class RunLostException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  RunLostException(String runId) {
    super("Run " + runId + " is no longer this worker's");
  }
}
