package io.github.runsvc.conformance;

import com.google.gson.JsonObject;
import io.github.runsvc.client.Execution;
import io.github.runsvc.client.RunClient;
import io.github.runsvc.client.RunException;
import io.github.runsvc.client.RunLostException;
import io.github.runsvc.client.Worker;
import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.Run;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/** A run that is executed on a thread of its own, by a function that waits for the suite. */
final class Job {
  private final CompletableFuture<Execution> executing = new CompletableFuture<>();
  private final CompletableFuture<Callable<Progress>> ending = new CompletableFuture<>();
  private final CompletableFuture<Run> reported = new CompletableFuture<>();

  /** Completed when the function is told to stop, and with what it then returns. */
  private final CompletableFuture<Void> told = new CompletableFuture<>();

  private final CompletableFuture<Optional<Progress>> usage = new CompletableFuture<>();

  Job(JsonObject command, RunClient runs) {
    Optional<String> id =
        Optional.ofNullable(command.get("worker_id")).map(name -> name.getAsString());
    Optional<Duration> lease =
        Optional.ofNullable(command.get("lease_ttl_ms"))
            .map(ms -> Duration.ofMillis(ms.getAsLong()));
    String runId = command.get("run_id").getAsString();
    Thread thread = new Thread(() -> work(runs, runId, new Worker(id, lease)));
    thread.setDaemon(true);
    thread.start();
  }

  private void work(RunClient runs, String runId, Worker worker) {
    try {
      reported.complete(runs.work(runId, worker, this::execute));
    } catch (RunException | RunLostException failure) {
      executing.completeExceptionally(failure);
      reported.completeExceptionally(failure);
    }
  }

  private Progress execute(Execution execution) throws Exception {
    executing.complete(execution);
    try {
      return ending.get().call();
    } catch (InterruptedException stopped) {
      told.complete(null);
      return usage.get().orElse(null);
    }
  }

  Execution execution() {
    return result(executing);
  }

  /** The run as it was started. */
  Run started() {
    return execution().run();
  }

  boolean isExecuting() {
    return !execution().isStopped() && !reported.isDone();
  }

  /** The run as reported after the function returned, or threw what is to be the error. */
  Run finished(Progress last, String error) {
    ending.complete(
        () -> {
          if (error.isEmpty()) {
            return last;
          }
          throw new IllegalStateException(error);
        });
    return result(reported);
  }

  /** Why the function was told to stop, and the run as acknowledged. */
  JsonObject stopped(Progress last) {
    result(told);
    usage.complete(Optional.ofNullable(last));
    JsonObject json = new JsonObject();
    try {
      json.add("run", Json.of(result(reported)));
      json.addProperty("why", "cancelled");
    } catch (RunLostException lost) {
      json.addProperty("why", "lost");
    }
    return json;
  }

  private static <T> T result(CompletableFuture<T> future) {
    try {
      return future.join();
    } catch (CompletionException failure) {
      throw (RuntimeException) failure.getCause();
    }
  }
}
