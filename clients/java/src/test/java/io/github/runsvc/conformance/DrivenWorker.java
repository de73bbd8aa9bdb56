package io.github.runsvc.conformance;

import com.google.gson.Gson;
import com.google.gson.JsonObject;
import io.github.runsvc.client.Execution;
import io.github.runsvc.client.RunClient;
import io.github.runsvc.client.RunException;
import io.github.runsvc.client.RunLostException;
import io.github.runsvc.client.Worker;
import io.github.runsvc.client.WorkerHealth;
import io.github.runsvc.client.WorkerOptions;
import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunStatus;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;

/** A worker on its own thread, with handlers that wait for the suite's commands. */
final class DrivenWorker {
  private final Worker worker;
  private final CompletableFuture<Void> stopped = new CompletableFuture<>();

  /** The calls of the handler that no command has asked for yet. */
  private final BlockingQueue<Execution> called = new LinkedBlockingQueue<>();

  private final Map<String, Call> calls = new ConcurrentHashMap<>();

  /** A call of the handler. */
  private static final class Call {
    final Execution execution;
    final CompletableFuture<Callable<Progress>> ending = new CompletableFuture<>();
    final CompletableFuture<Run> ended = new CompletableFuture<>();

    Call(Execution execution) {
      this.execution = execution;
    }
  }

  DrivenWorker(JsonObject command, RunClient runs) {
    worker = runs.worker(options(command), this::handle);
    Thread thread = new Thread(this::run);
    thread.setDaemon(true);
    thread.start();
  }

  private WorkerOptions options(JsonObject command) {
    WorkerOptions options =
        command.has("assistants")
            ? WorkerOptions.forAssistants(
                new Gson().fromJson(command.get("assistants"), String[].class))
            : WorkerOptions.forAnyAssistant();
    options = options.withEnded(this::noteEnd);
    if (command.has("worker_id")) {
      options = options.withWorkerId(command.get("worker_id").getAsString());
    }
    if (command.has("concurrency")) {
      options = options.withConcurrency(command.get("concurrency").getAsInt());
    }
    if (command.has("lease_ttl_ms")) {
      options = options.withLease(Duration.ofMillis(command.get("lease_ttl_ms").getAsLong()));
    }
    if (command.has("grace_ms")) {
      options = options.withGrace(Duration.ofMillis(command.get("grace_ms").getAsLong()));
    }
    return options;
  }

  private void run() {
    try {
      worker.run();
      stopped.complete(null);
    } catch (RunException failure) {
      stopped.completeExceptionally(failure);
    }
  }

  private Progress handle(Execution execution) throws Exception {
    Call call = new Call(execution);
    calls.put(execution.run().getRunId(), call);
    called.add(execution);
    return call.ending.get().call();
  }

  private void noteEnd(Run run, Throwable failure) {
    Call call = calls.get(run.getRunId());
    if (failure == null) {
      call.ended.complete(run);
    } else {
      call.ended.completeExceptionally(failure);
    }
  }

  /** Waits for the next call of the handler, and returns its run and attempt. */
  JsonObject next() {
    try {
      Run run = called.take().run();
      JsonObject json = new JsonObject();
      json.add("run", Json.of(run));
      json.addProperty("attempt", run.getAttempt());
      return json;
    } catch (InterruptedException interrupted) {
      throw new IllegalStateException(interrupted);
    }
  }

  /** Ends a handler as the command says, and returns the run. */
  Run finish(JsonObject command) {
    Call call = call(command);
    call.ending.complete(() -> DrivenExecution.end(call.execution, command));
    return DrivenExecution.result(call.ended);
  }

  private Call call(JsonObject command) {
    return calls.get(command.get("run_id").getAsString());
  }

  /** Waits until a handler was stopped, and returns the reason and the run. */
  JsonObject waitForStop(JsonObject command) {
    JsonObject json = new JsonObject();
    try {
      Run run = DrivenExecution.result(call(command).ended);
      boolean isReleased = run.getStatus() == RunStatus.RUN_STATUS_PENDING;
      json.add("run", Json.of(run));
      json.addProperty("why", isReleased ? "released" : "cancelled");
    } catch (RunLostException lost) {
      json.addProperty("why", "lost");
    }
    return json;
  }

  /** Stops the worker, and waits until all handlers have returned. */
  JsonObject stop() {
    worker.stop();
    DrivenExecution.result(stopped);
    return new JsonObject();
  }

  JsonObject health() {
    WorkerHealth health = worker.health();
    JsonObject json = new JsonObject();
    json.addProperty("state", health.state().name().toLowerCase(Locale.ROOT));
    json.addProperty("running", health.running());
    return json;
  }
}
