package io.github.runsvc.example;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import io.github.runsvc.client.Execution;
import io.github.runsvc.client.RunClient;
import io.github.runsvc.client.Worker;
import io.github.runsvc.client.WorkerOptions;
import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.Run;
import java.time.Duration;

/** Claims the runs of the assistant "echo", and performs up to four at a time, until Ctrl-C. */
public final class EchoWorker {
  private EchoWorker() {}

  public static void main(String[] arguments) {
    WorkerOptions options =
        WorkerOptions.forAssistants("echo")
            .withConcurrency(4)
            .withGrace(Duration.ofSeconds(10))
            .withEnded(EchoWorker::log);
    try (RunClient client = RunClient.connect()) {
      Worker worker = client.worker(options, EchoWorker::answer);
      Thread main = Thread.currentThread();
      Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(worker, main)));
      System.out.println("The worker waits for runs of echo.");
      worker.run();
    }
    System.out.println("Stopped.");
  }

  /** On Ctrl-C and SIGTERM the virtual machine waits for this, and so for the runs in progress. */
  private static void stop(Worker worker, Thread main) {
    worker.stop();
    try {
      main.join(Duration.ofSeconds(15).toMillis());
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static void log(Run run, Throwable failure) {
    String end = failure == null ? run.getStatus() + " " + run.getError() : failure.getMessage();
    System.out.println(run.getRunId() + " " + end);
  }

  /** The handler: repeats the question word by word. */
  private static Progress answer(Execution execution) throws InterruptedException {
    Struct input = execution.run().getKwargs();
    String answer = "";
    long tokens = 0;
    for (String word : input.getFieldsOrThrow("input").getStringValue().split(" ")) {
      Thread.sleep(300); // The work.
      if (word.equals("fail")) {
        throw new IllegalArgumentException("the question contains the word fail");
      }
      answer = answer.isEmpty() ? word : answer + " " + word;
      execution.report(
          Progress.newBuilder().setTotalTokens(++tokens).setLastAiMessage(answer).build());
    }
    Value text = Value.newBuilder().setStringValue(answer).build();
    execution.setResult(Struct.newBuilder().putFields("answer", text).build());
    return null; // No usage beyond the reports.
  }
}
