package io.github.runsvc.example;

import com.google.protobuf.Struct;
import io.github.runsvc.client.ExecuteOptions;
import io.github.runsvc.client.Execution;
import io.github.runsvc.client.RunClient;
import io.github.runsvc.client.RunException;
import io.github.runsvc.client.RunLostException;
import io.github.runsvc.client.Watch;
import io.github.runsvc.v1.AllRuns;
import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunStatus;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.StreamStatusResponse;
import io.grpc.Status;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** Executes the runs of the assistant "echo" until Ctrl-C, each on a thread of its own. */
public final class EchoExecutor {
  private static final String ASSISTANT = "echo";

  private final RunClient client;
  private final ExecuteOptions options;
  private final ExecutorService threads = Executors.newCachedThreadPool();

  /** The ids of the runs in progress: a new snapshot can contain a run that is about to start. */
  private final Set<String> inProgress = ConcurrentHashMap.newKeySet();

  /** The watch in use. Guarded by this. */
  private Watch watch;

  private boolean stopped;

  private EchoExecutor(RunClient client) {
    this.client = client;
    this.options = ExecuteOptions.forNewWorker().withLease(Duration.ofSeconds(30));
  }

  public static void main(String[] arguments) throws Exception {
    try (RunClient client = RunClient.connect()) {
      EchoExecutor executor = new EchoExecutor(client);
      Thread main = Thread.currentThread();
      // On Ctrl-C the virtual machine waits for this thread, and so for the reports of the runs.
      Runtime.getRuntime().addShutdownHook(new Thread(() -> executor.stop(main)));
      System.out.println("The executor waits for runs of " + ASSISTANT + ".");
      executor.takeRuns();
    }
    System.out.println("Stopped.");
  }

  private void stop(Thread main) {
    synchronized (this) {
      stopped = true;
      if (watch != null) {
        watch.close();
      }
    }
    try {
      main.join(15_000);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Executes every PENDING run until the executor is stopped and every end is reported. */
  private void takeRuns() throws InterruptedException {
    try {
      while (true) {
        try (Watch opened = open()) {
          opened.forEach(this::accept);
          return;
        } catch (RunException failure) {
          // The server has discarded the changes since the watch's position: take a new snapshot.
          if (failure.code() != Status.Code.OUT_OF_RANGE) {
            throw failure;
          }
        }
      }
    } finally {
      threads.shutdownNow();
      threads.awaitTermination(12, TimeUnit.SECONDS);
    }
  }

  private synchronized Watch open() {
    AllRuns runs = AllRuns.newBuilder().setAssistantId(ASSISTANT).build();
    watch =
        client.watch(StreamStatusRequest.newBuilder().setAll(runs).build(), Duration.ofHours(1));
    if (stopped) {
      watch.close();
    }
    return watch;
  }

  private void accept(StreamStatusResponse event) {
    String runId = event.getRun().getRunId();
    if (event.getRun().getStatus() == RunStatus.RUN_STATUS_PENDING && inProgress.add(runId)) {
      threads.execute(() -> execute(runId));
    }
  }

  private void execute(String runId) {
    try {
      Run run = client.execute(runId, options, this::answer);
      System.out.println(runId + " " + run.getStatus() + " " + run.getError());
    } catch (RunException.FailedPrecondition | RunException.NotFound refused) {
      System.out.println(runId + " is not available: another executor may have taken it.");
    } catch (RunException | RunLostException failure) {
      System.out.println(runId + " " + failure.getMessage());
    } finally {
      inProgress.remove(runId);
    }
  }

  /** The handler: repeats the question word by word. */
  private Progress answer(Execution execution) throws InterruptedException {
    Struct input = execution.run().getKwargs();
    String answer = "";
    long tokens = 0;
    for (String word : input.getFieldsOrThrow("input").getStringValue().split(" ")) {
      pause(execution);
      if (word.equals("fail")) {
        throw new IllegalArgumentException("the question contains the word fail");
      }
      answer = answer.isEmpty() ? word : answer + " " + word;
      execution.report(
          Progress.newBuilder().setTotalTokens(++tokens).setLastAiMessage(answer).build());
    }
    return null;
  }

  private static void pause(Execution execution) throws InterruptedException {
    try {
      Thread.sleep(300);
    } catch (InterruptedException interrupted) {
      throw new InterruptedException(
          execution.isStopped() ? "the run ended elsewhere" : "the executor stopped");
    }
  }
}
