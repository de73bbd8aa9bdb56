package io.github.runsvc.conformance;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.Message;
import io.github.runsvc.client.RunClient;
import io.github.runsvc.client.RunException;
import io.github.runsvc.client.Watch;
import io.github.runsvc.v1.AcknowledgeCancelRequest;
import io.github.runsvc.v1.CancelRequest;
import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.CreateOrRejectRequest;
import io.github.runsvc.v1.CreateRequest;
import io.github.runsvc.v1.HeartbeatRequest;
import io.github.runsvc.v1.ListByThreadRequest;
import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.SetStatusRequest;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.UpdateMetadataRequest;
import io.github.runsvc.v1.UpdateModelNameRequest;
import io.github.runsvc.v1.UpdateProgressRequest;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * The Java driver of the conformance suite. clients/conformance/README.md specifies the commands
 * and answers.
 */
final class Driver {
  private final RunClient client;
  private final Map<Integer, Watch> watches = new HashMap<>();
  private final Map<Integer, DrivenExecution> executions = new HashMap<>();
  private final Map<Integer, DrivenWorker> workers = new HashMap<>();

  private Driver(RunClient client) {
    this.client = client;
  }

  /** Answers the commands of standard input, one per line. */
  public static void main(String[] arguments) throws IOException {
    BufferedReader commands =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    try (RunClient client = RunClient.connect()) {
      String owner = System.getenv("RUNSVC_TEST_OWNER");
      Driver driver = new Driver(owner == null ? client : client.forOwner(owner));
      String line;
      while ((line = commands.readLine()) != null) {
        JsonObject command = JsonParser.parseString(line).getAsJsonObject();
        if (named(command).equals("quit")) {
          break;
        }
        answers.println(driver.answer(command));
      }
      if (line == null) {
        return;
      }
    }
    answers.println("{\"ok\": {}}");
  }

  private static String named(JsonObject command) {
    return command.get("cmd").getAsString();
  }

  private JsonObject answer(JsonObject command) {
    try {
      JsonElement ok = perform(command, timed(command));
      return ok == null ? object("unsupported", true) : object("ok", ok);
    } catch (RunException failure) {
      return object("error", error(failure));
    }
  }

  private RunClient timed(JsonObject command) {
    return command.has("timeout_ms")
        ? client.withTimeout(Duration.ofMillis(command.get("timeout_ms").getAsLong()))
        : client;
  }

  /** Carries out a command, and returns its result; null if the command is unknown. */
  private JsonElement perform(JsonObject command, RunClient runs) {
    return switch (named(command)) {
      case "hello" -> object("language", "java");
      case "create" -> {
        var response = runs.create(Json.read(CreateRequest.newBuilder(), command).build());
        yield with(run(response.getRun()), "replayed", response.getReplayed());
      }
      case "create_or_reject" -> {
        var response =
            runs.createOrReject(Json.read(CreateOrRejectRequest.newBuilder(), command).build());
        JsonObject ok = with(run(response.getRun()), "replayed", response.getReplayed());
        ok.add("superseded", Json.of(response.getSupersededList()));
        yield ok;
      }
      case "get" -> run(runs.get(text(command, "run_id")));
      case "list" -> object("runs", Json.of(runs.listByThread(list(command))));
      case "list_first" -> {
        var first =
            runs.listByThread(list(command)).stream().limit(command.get("count").getAsInt());
        yield object("runs", Json.of(first.toList()));
      }
      case "has_inflight" -> {
        var response = runs.hasInflight(text(command, "thread_id"));
        JsonArray ids = new JsonArray();
        response.getRunIdsList().forEach(ids::add);
        JsonObject ok = with(object("run_ids", ids), "has_inflight", response.getHasInflight());
        if (response.getQueuedRunIdsCount() > 0) {
          ok.add("queued_run_ids", new Gson().toJsonTree(response.getQueuedRunIdsList()));
        }
        yield ok;
      }
      case "set_status" -> {
        var response = runs.setStatus(Json.read(SetStatusRequest.newBuilder(), command).build());
        yield with(run(response.getRun()), "changed", response.getChanged());
      }
      case "complete" -> {
        var response = runs.complete(Json.read(CompleteRequest.newBuilder(), command).build());
        yield with(run(response.getRun()), "changed", response.getChanged());
      }
      case "update_progress" -> {
        var response =
            runs.updateProgress(Json.read(UpdateProgressRequest.newBuilder(), command).build());
        yield with(run(response.getRun()), "applied", response.getApplied());
      }
      case "update_model_name" ->
          run(
              runs.updateModelName(
                  Json.read(UpdateModelNameRequest.newBuilder(), command).build()));
      case "update_metadata" -> {
        var response =
            runs.updateMetadata(Json.read(UpdateMetadataRequest.newBuilder(), command).build());
        yield with(run(response.getRun()), "changed", response.getChanged());
      }
      case "heartbeat" ->
          run(runs.heartbeat(Json.read(HeartbeatRequest.newBuilder(), command).build()));
      case "cancel" -> Json.of(runs.cancel(Json.read(CancelRequest.newBuilder(), command).build()));
      case "acknowledge_cancel" -> {
        var response =
            runs.acknowledgeCancel(
                Json.read(AcknowledgeCancelRequest.newBuilder(), command).build());
        yield with(run(response.getRun()), "changed", response.getChanged());
      }
      case "watch" -> {
        watches.put(command.get("w").getAsInt(), watch(command, runs));
        yield new JsonObject();
      }
      case "next" -> next(command.get("w").getAsInt());
      case "unwatch" -> {
        watches.remove(command.get("w").getAsInt()).close();
        yield new JsonObject();
      }
      case "watch_and_leave" -> {
        for (int left = command.get("rounds").getAsInt(); left > 0; left--) {
          try (Watch watch = watch(command, runs)) {
            watch.next();
          }
        }
        yield new JsonObject();
      }
      case "work" -> {
        DrivenExecution execution = new DrivenExecution(command, runs);
        executions.put(command.get("k").getAsInt(), execution);
        yield run(execution.started());
      }
      case "report" -> object("applied", execution(command).execution().report(progress(command)));
      case "executing" -> object("executing", execution(command).isExecuting());
      case "finish" -> finish(execution(command), command);
      case "stopped" -> execution(command).stopped(command);
      case "execute_all" -> Failures.executeAll(command, runs);
      case "worker" -> {
        workers.put(command.get("k").getAsInt(), new DrivenWorker(command, runs));
        yield new JsonObject();
      }
      case "worker_next" -> worker(command).next();
      case "worker_finish" -> run(worker(command).finish(command));
      case "worker_stopped" -> worker(command).waitForStop(command);
      case "worker_stop" -> worker(command).stop();
      case "worker_health" -> worker(command).health();
      case "resources" -> resources();
      default -> null;
    };
  }

  private static JsonObject finish(DrivenExecution execution, JsonObject command) {
    JsonObject run = Json.of(execution.finished(command));
    if (command.has("throws") && command.get("throws").getAsString().equals("panic")) {
      return new JsonObject();
    }
    if (command.has("throws")) {
      // The text names the class, which differs by language.
      run.remove("error");
    }
    return object("run", run);
  }

  private DrivenWorker worker(JsonObject command) {
    return workers.get(command.get("k").getAsInt());
  }

  private DrivenExecution execution(JsonObject command) {
    return executions.get(command.get("k").getAsInt());
  }

  /** Returns the command's progress, or null if it has none. */
  static Progress progress(JsonObject command) {
    return command.has("progress")
        ? Json.read(Progress.newBuilder(), command.getAsJsonObject("progress")).build()
        : null;
  }

  private static ListByThreadRequest list(JsonObject command) {
    return Json.read(ListByThreadRequest.newBuilder(), command).build();
  }

  private static Watch watch(JsonObject command, RunClient runs) {
    StreamStatusRequest request = Json.read(StreamStatusRequest.newBuilder(), command).build();
    return command.has("outage_ms")
        ? runs.watch(request, Duration.ofMillis(command.get("outage_ms").getAsLong()))
        : runs.watch(request);
  }

  private JsonObject next(int name) {
    Watch watch = watches.get(name);
    return watch.hasNext() ? Json.of(watch.next()) : object("end", true);
  }

  private static JsonObject error(RunException failure) {
    JsonObject json = object("code", failure.code().name());
    if (!failure.reason().isEmpty()) {
      json.addProperty("reason", failure.reason());
    }
    if (!failure.metadata().isEmpty()) {
      JsonObject metadata = new JsonObject();
      failure.metadata().forEach(metadata::addProperty);
      json.add("metadata", metadata);
    }
    if (!failure.violations().isEmpty()) {
      JsonArray fields = new JsonArray();
      failure.violations().forEach(violation -> fields.add(violation.field()));
      json.add("violations", fields);
    }
    if (failure.getClass() != RunException.class) {
      // NotFound is not_found.
      String kind = failure.getClass().getSimpleName().replaceAll("(?<=.)([A-Z])", "_$1");
      json.addProperty("kind", kind.toLowerCase(Locale.ROOT));
    }
    failure.retryAfter().ifPresent(wait -> json.addProperty("retry_after_ms", wait.toMillis()));
    return json;
  }

  private static JsonObject resources() {
    System.gc();
    JsonObject json = new JsonObject();
    json.addProperty("threads", Thread.getAllStackTraces().size());
    String[] handles = new File("/proc/self/fd").list();
    if (handles != null) {
      json.addProperty("handles", handles.length);
    }
    return json;
  }

  private static JsonObject run(Message run) {
    return object("run", Json.of(run));
  }

  private static JsonObject object(String name, JsonElement value) {
    JsonObject json = new JsonObject();
    json.add(name, value);
    return json;
  }

  private static JsonObject object(String name, String value) {
    JsonObject json = new JsonObject();
    json.addProperty(name, value);
    return json;
  }

  private static JsonObject object(String name, boolean value) {
    return with(new JsonObject(), name, value);
  }

  private static JsonObject with(JsonObject json, String name, boolean value) {
    json.addProperty(name, value);
    return json;
  }

  private static String text(JsonObject command, String name) {
    return command.has(name) ? command.get(name).getAsString() : "";
  }
}
