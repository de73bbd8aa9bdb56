package io.github.runsvc.example;

import io.github.runsvc.client.RunClient;
import io.github.runsvc.client.RunException;
import io.github.runsvc.client.Watch;
import io.github.runsvc.v1.CreateOrRejectRequest;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunSpec;
import io.github.runsvc.v1.StreamStatusResponse;
import java.util.UUID;

/** Starts a run on a thread, and watches it until it has ended. */
public final class WatchRun {
  private WatchRun() {}

  /** Takes the thread, or chat-1. */
  public static void main(String[] arguments) {
    String thread = arguments.length > 0 ? arguments[0] : "chat-1";
    try (RunClient runs = RunClient.connect()) {
      Run run = start(runs, thread);
      System.out.println(
          "Cancel it to end this, in runsvc's folder: .venv/bin/runsvc cancel " + run.getRunId());
      try (Watch watch = runs.watch(run.getRunId())) {
        for (StreamStatusResponse event : watch) {
          System.out.println(event.getEvent() + " " + event.getRun().getStatus());
        }
      }
    } catch (RunException.Unavailable gone) {
      System.err.println("no runsvc server answers: start one with make run");
      System.exit(1);
    }
  }

  private static Run start(RunClient runs, String thread) {
    // With a request_id the client may try again: it is one run, however often it is asked for.
    CreateOrRejectRequest request =
        CreateOrRejectRequest.newBuilder()
            .setRequestId(UUID.randomUUID().toString())
            .setSpec(RunSpec.newBuilder().setThreadId(thread))
            .build();
    try {
      return runs.createOrReject(request).getRun();
    } catch (RunException.ThreadBusy busy) {
      System.out.println(thread + " is busy; here is the run in the way");
      return runs.get(busy.metadata().get("run_id"));
    }
  }
}
