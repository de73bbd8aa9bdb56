package io.github.runsvc.conformance;

import com.google.gson.JsonObject;
import io.github.runsvc.client.ExecuteOptions;
import io.github.runsvc.client.Execution;
import io.github.runsvc.client.RetryableException;
import io.github.runsvc.client.RunClient;
import io.github.runsvc.client.RunException;
import io.github.runsvc.client.RunLostException;
import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunStatus;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/** An execution on its own thread, with a handler that waits for the suite's commands. */
final class DrivenExecution {
  private final CompletableFuture<Execution> executing = new CompletableFuture<>();
  private final CompletableFuture<Callable<Progress>> ending = new CompletableFuture<>();
  private final CompletableFuture<Run> reported = new CompletableFuture<>();

  /** Completed when the handler is interrupted. */
  private final CompletableFuture<Void> stopped = new CompletableFuture<>();

  /** The end of the interrupted handler. */
  private final CompletableFuture<Callable<Progress>> stopping = new CompletableFuture<>();

  DrivenExecution(JsonObject command, RunClient runs) {
    Optional<String> id =
        Optional.ofNullable(command.get("worker_id")).map(name -> name.getAsString());
    Optional<Duration> lease =
        Optional.ofNullable(command.get("lease_ttl_ms"))
            .map(ms -> Duration.ofMillis(ms.getAsLong()));
    String runId = command.get("run_id").getAsString();
    boolean fence = command.has("fence") && command.get("fence").getAsBoolean();
    ExecuteOptions options = new ExecuteOptions(id, lease, fence);
    Thread thread = new Thread(() -> execute(runs, runId, options));
    thread.setDaemon(true);
    thread.start();
  }

  private void execute(RunClient runs, String runId, ExecuteOptions options) {
    try {
      reported.complete(runs.execute(runId, options, this::handle));
    } catch (Panic thrown) {
      reported.complete(Run.getDefaultInstance());
    } catch (RunException | RunLostException failure) {
      executing.completeExceptionally(failure);
      reported.completeExceptionally(failure);
    }
  }

  private Progress handle(Execution execution) throws Exception {
    executing.complete(execution);
    try {
      return ending.get().call();
    } catch (InterruptedException interrupted) {
      stopped.complete(null);
      return stopping.get().call();
    }
  }

  Execution execution() {
    return result(executing);
  }

  /** Returns the run as it was started. */
  Run started() {
    return execution().run();
  }

  boolean isExecuting() {
    return !execution().isStopped() && !reported.isDone();
  }

  /** Ends the handler as the command says, and returns the run. */
  Run finished(JsonObject command) {
    ending.complete(() -> end(execution(), command));
    return result(reported);
  }

  /** Sets and returns the outcome of a handler as the command says. */
  static Progress end(Execution execution, JsonObject command) throws NoText {
    if (command.has("result")) {
      execution.setResult(Json.struct(command.getAsJsonObject("result")));
    }
    if (command.has("stop_reason")) {
      execution.setStopReason(command.get("stop_reason").getAsString());
    }
    if (command.has("throws")) {
      if (command.get("throws").getAsString().equals("panic")) {
        throw new Panic();
      }
      throw new NoText();
    }
    if (command.has("retryable") && command.get("retryable").getAsBoolean()) {
      throw new RetryableException(command.get("error").getAsString());
    }
    if (command.has("error")) {
      throw new IllegalStateException(command.get("error").getAsString());
    }
    return Driver.progress(command);
  }

  /** A failure that is no exception. */
  static final class Panic extends Error {
    private static final long serialVersionUID = 1L;
  }

  /** An exception whose message cannot be read. */
  static final class NoText extends Exception {
    private static final long serialVersionUID = 1L;

    @Override
    public String getMessage() {
      throw new IllegalStateException("no text");
    }
  }

  /** Waits until the handler is interrupted, ends it, and returns the reason and the run. */
  JsonObject stopped(JsonObject command) {
    result(stopped);
    stopping.complete(() -> end(execution(), command));
    JsonObject json = new JsonObject();
    try {
      Run run = result(reported);
      boolean isCancelled = run.getStatus() == RunStatus.RUN_STATUS_INTERRUPTED;
      json.add("run", Json.of(isCancelled ? run : run.toBuilder().clearError().build()));
      json.addProperty("why", isCancelled ? "cancelled" : "fenced");
    } catch (RunLostException lost) {
      json.addProperty("why", "lost");
    }
    return json;
  }

  static <T> T result(CompletableFuture<T> future) {
    try {
      return future.join();
    } catch (CompletionException failure) {
      throw (RuntimeException) failure.getCause();
    }
  }
}
