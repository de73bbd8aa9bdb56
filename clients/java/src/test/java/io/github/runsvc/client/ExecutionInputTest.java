package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import io.github.runsvc.v1.AcknowledgeCancelRequest;
import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.GetRequest;
import io.github.runsvc.v1.GetResponse;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunStatus;
import io.github.runsvc.v1.StatusEvent;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.StreamStatusResponse;
import io.grpc.Status.Code;
import java.io.IOException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The handler has the run's input. */
class ExecutionInputTest {
  private static final ExecuteOptions OPTIONS = ExecuteOptions.forWorker("w");
  private static final Struct KWARGS =
      Struct.newBuilder()
          .putFields("input", Value.newBuilder().setStringValue("hello").build())
          .build();

  private ExecutionServer runs;

  @BeforeEach
  void start() throws IOException {
    runs = new ExecutionServer();
  }

  @AfterEach
  void stop() {
    runs.close();
  }

  private static GetResponse found() {
    Run run = ExecutionServer.run(RunStatus.RUN_STATUS_RUNNING);
    return GetResponse.newBuilder().setRun(run.toBuilder().setKwargs(KWARGS)).build();
  }

  @Test
  void runHasKwargs() {
    runs.answers(
        GetRequest.class,
        Answers.breaks(Code.UNAVAILABLE),
        Answers.breaks(Code.DEADLINE_EXCEEDED),
        Answers.sends(found()));
    Handler handler =
        execution -> {
          assertEquals(KWARGS, execution.run().getKwargs());
          assertEquals(2, execution.run().getRevision());
          return null;
        };
    Run run = runs.client.execute("r", OPTIONS, handler);
    assertEquals(RunStatus.RUN_STATUS_SUCCESS, run.getStatus());
    assertEquals(RunStatus.RUN_STATUS_SUCCESS, runs.last(CompleteRequest.class).getStatus());
  }

  @Test
  void runWithUnreadableInputEndsAsError() {
    runs.answers(GetRequest.class, Answers.refuses(Code.PERMISSION_DENIED, ""));
    runs.client.execute("r", OPTIONS, execution -> fail());
    CompleteRequest report = runs.last(CompleteRequest.class);
    assertEquals(RunStatus.RUN_STATUS_ERROR, report.getStatus());
    assertTrue(report.getError().startsWith("Cannot read the input"), report.getError());
  }

  @Test
  void removedRunIsLost() {
    runs.answers(GetRequest.class, Answers.refuses(Code.NOT_FOUND, "RUN_NOT_FOUND"));
    assertThrows(
        RunLostException.class, () -> runs.client.execute("r", OPTIONS, execution -> fail()));
    assertTrue(runs.requests(CompleteRequest.class).isEmpty());
  }

  @Test
  void cancelEndsWaitForInput() {
    runs.answers(GetRequest.class, Answers.begins());
    StreamStatusResponse cancelled =
        StreamStatusResponse.newBuilder()
            .setEvent(StatusEvent.STATUS_EVENT_CHANGED)
            .setRevision(3)
            .setRun(ExecutionServer.run(RunStatus.RUN_STATUS_INTERRUPTED))
            .build();
    runs.answers(StreamStatusRequest.class, cancelled);
    Run run = runs.client.execute("r", OPTIONS, execution -> fail());
    assertEquals(RunStatus.RUN_STATUS_INTERRUPTED, run.getStatus());
    assertEquals(1, runs.requests(AcknowledgeCancelRequest.class).size());
  }
}
