import com.google.protobuf.Duration;
import io.github.runsvc.client.RunClient;
import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.HeartbeatRequest;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunSpec;
import io.github.runsvc.v1.RunStatus;
import io.github.runsvc.v1.SetStatusRequest;

/** Creates a run, executes it with a lease, and prints how it ended. */
public final class Main {
  private static final String EXECUTOR = "java-executor";

  public static void main(String[] args) {
    try (RunClient client = RunClient.connect()) {
      String runId = client.create(RunSpec.newBuilder().setThreadId("java").build()).getRun().getRunId();
      client.setStatus(
          SetStatusRequest.newBuilder()
              .setRunId(runId)
              .setStatus(RunStatus.RUN_STATUS_RUNNING)
              .setWorkerId(EXECUTOR)
              .setLeaseTtl(Duration.newBuilder().setSeconds(30))
              .build());
      client.heartbeat(HeartbeatRequest.newBuilder().setRunId(runId).setWorkerId(EXECUTOR).build());
      client.complete(
          CompleteRequest.newBuilder()
              .setRunId(runId)
              .setStatus(RunStatus.RUN_STATUS_SUCCESS)
              .setWorkerId(EXECUTOR)
              .build());
      Run run = client.get(runId);
      System.out.println(run.getRunId() + " " + run.getStatus().name().replace("RUN_STATUS_", ""));
    }
  }
}
