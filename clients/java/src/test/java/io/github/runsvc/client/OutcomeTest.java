package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import io.github.runsvc.v1.AcknowledgeCancelRequest;
import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.CompleteResponse;
import io.github.runsvc.v1.ModelUsage;
import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.RunStatus;
import io.grpc.Status.Code;
import java.io.IOException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The parts of the report of the end that the handler sets. */
class OutcomeTest {
  private static final Progress USAGE = Progress.newBuilder().setTotalTokens(7).build();

  private ExecutionServer runs;

  @BeforeEach
  void start() throws IOException {
    runs = new ExecutionServer();
  }

  @AfterEach
  void stop() {
    runs.close();
  }

  private static Struct answer(String text) {
    Value value = Value.newBuilder().setStringValue(text).build();
    return Struct.newBuilder().putFields("answer", value).build();
  }

  private static Progress produce(Execution execution, String text) {
    execution.setResult(answer(text));
    execution.setStopReason("done");
    return USAGE;
  }

  @Test
  void resultAndStopReasonAreReported() {
    runs.client.execute("r", execution -> produce(execution, "yes"));
    CompleteRequest report = runs.last(CompleteRequest.class);
    assertEquals(answer("yes"), report.getResult());
    assertEquals("done", report.getStopReason());
  }

  @Test
  void failureHasStopReasonWithoutResult() {
    runs.client.execute(
        "r",
        execution -> {
          produce(execution, "yes");
          throw new IOException("boom");
        });
    CompleteRequest report = runs.last(CompleteRequest.class);
    assertFalse(report.hasResult());
    assertEquals("done", report.getStopReason());
  }

  @Test
  void stopReasonGoesWithAcknowledgement() {
    runs.answers(CompleteRequest.class, Answers.refusesFrom("INTERRUPTED"));
    runs.client.execute("r", execution -> produce(execution, "yes"));
    assertEquals("done", runs.last(AcknowledgeCancelRequest.class).getStopReason());
  }

  @Test
  void endIsReportedWithoutContentsThatServerRejects() {
    runs.answers(
        CompleteRequest.class,
        Answers.refuses(Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
        Answers.sends(CompleteResponse.getDefaultInstance()));
    assertThrows(
        RunException.InvalidArgument.class,
        () -> runs.client.execute("r", execution -> produce(execution, "yes")));
    assertBare(runs.last(CompleteRequest.class));
  }

  private static void assertBare(CompleteRequest report) {
    assertEquals(RunStatus.RUN_STATUS_SUCCESS, report.getStatus());
    assertFalse(report.hasResult() || report.hasStopReason() || report.hasProgress());
  }

  @Test
  void endIsReportedWithoutResultThatCannotBeSent() {
    RunException.InvalidArgument failure =
        assertThrows(
            RunException.InvalidArgument.class,
            () -> runs.client.execute("r", execution -> produce(execution, "x".repeat(4 << 20))));
    assertEquals("result", failure.violations().get(0).field());
    assertTrue(failure.getMessage().contains("shorten the result"));
    assertBare(runs.last(CompleteRequest.class));
  }

  @Test
  void usageIsMergedByModelAndField() {
    ModelUsage input = ModelUsage.newBuilder().setInputTokens(1).build();
    ModelUsage calls = ModelUsage.newBuilder().setCalls(2).build();
    ModelUsage output = ModelUsage.newBuilder().setOutputTokens(3).build();
    runs.client.execute(
        "r",
        execution -> {
          execution.report(Progress.newBuilder().putByModel("a", input).build());
          execution.report(Progress.newBuilder().putByModel("b", calls).build());
          execution.report(USAGE);
          return Progress.newBuilder().putByModel("a", output).build();
        });
    Progress expected =
        USAGE.toBuilder()
            .putByModel("a", input.toBuilder().mergeFrom(output).build())
            .putByModel("b", calls)
            .build();
    assertEquals(expected, runs.last(CompleteRequest.class).getProgress());
  }
}
