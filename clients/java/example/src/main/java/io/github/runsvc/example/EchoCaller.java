package io.github.runsvc.example;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import io.github.runsvc.client.RunClient;
import io.github.runsvc.client.RunException;
import io.github.runsvc.client.Watch;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunSpec;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.StreamStatusResponse;
import java.util.Arrays;

/** Asks the assistant "echo" a question on a thread, and follows the answer. */
public final class EchoCaller {
  private EchoCaller() {}

  /** Takes the thread, and the words of the question. */
  public static void main(String[] arguments) {
    if (arguments.length < 2) {
      System.err.println("usage: EchoCaller THREAD QUESTION...");
      System.exit(2);
    }
    String question = String.join(" ", Arrays.asList(arguments).subList(1, arguments.length));
    try (RunClient client = RunClient.connect()) {
      follow(client, create(client, arguments[0], question).getRunId());
    } catch (RunException.ThreadBusy busy) {
      System.err.println(
          "The thread is busy with run "
              + busy.metadata().get("run_id")
              + "; cancel it or wait for its end.");
    } catch (RunException.Unavailable unavailable) {
      System.err.println("No runsvc server answers: start one with make run.");
    }
  }

  private static Run create(RunClient client, String thread, String question) {
    Struct kwargs =
        Struct.newBuilder()
            .putFields("input", Value.newBuilder().setStringValue(question).build())
            .build();
    RunSpec spec =
        RunSpec.newBuilder().setThreadId(thread).setAssistantId("echo").setKwargs(kwargs).build();
    return client.createOrReject(spec).getRun();
  }

  private static void follow(RunClient client, String runId) {
    StreamStatusRequest request =
        StreamStatusRequest.newBuilder().setRunId(runId).setIncludeProgress(true).build();
    try (Watch watch = client.watch(request)) {
      for (StreamStatusResponse event : watch) {
        if (event.hasRun()) {
          Run run = event.getRun();
          System.out.println(
              run.getRunId()
                  + " "
                  + run.getStatus()
                  + " "
                  + run.getProgress().getLastAiMessage()
                  + " "
                  + run.getError());
        }
      }
    }
  }
}
