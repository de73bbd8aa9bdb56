package io.github.runsvc.client;

import io.github.runsvc.v1.Progress;

/**
 * Executes a run; see {@link RunClient#execute(String, ExecuteOptions, Handler)}.
 *
 * <p>If the run ends elsewhere, or its lease is fenced, the handler's thread is interrupted. It
 * should then return or throw soon. The usage that it returns is also recorded for a cancelled run.
 */
@FunctionalInterface
public interface Handler {
  /**
   * Executes the run.
   *
   * @return the final usage, merged into the usage reported before; null if there is none
   * @throws Exception to end the run as ERROR with the exception's message
   */
  Progress handle(Execution execution) throws Exception;
}
