package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.HeartbeatRequest;
import io.github.runsvc.v1.HeartbeatResponse;
import io.github.runsvc.v1.RunStatus;
import io.grpc.Status.Code;
import java.io.IOException;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The fence stops the handler when the lease may have expired. */
class FenceTest {
  private static final ExecuteOptions FENCED = ExecuteOptions.forNewWorker().withFence();

  private ExecutionServer runs;

  @BeforeEach
  void start() throws IOException {
    runs = new ExecutionServer();
  }

  @AfterEach
  void stop() {
    runs.close();
  }

  private static HeartbeatResponse renewed() {
    return HeartbeatResponse.newBuilder()
        .setRun(ExecutionServer.run(RunStatus.RUN_STATUS_RUNNING))
        .build();
  }

  @Test
  void stopsHandlerWithoutConfirmedRenewal() {
    runs.answers(
        HeartbeatRequest.class, Answers.sends(renewed()), Answers.breaks(Code.UNAVAILABLE));
    Duration lease = Duration.ofMillis(900);
    long began = System.nanoTime();
    Handler handler =
        execution -> {
          try {
            Thread.sleep(60_000);
          } finally {
            assertTrue(execution.isStopped());
          }
          return null;
        };
    runs.client.execute("r", FENCED.withLease(lease), handler);
    // The first heartbeat renews the lease.
    assertTrue(System.nanoTime() - began > lease.toNanos() * 5 / 4);
    CompleteRequest report = runs.last(CompleteRequest.class);
    assertEquals(RunStatus.RUN_STATUS_ERROR, report.getStatus());
    assertTrue(report.getError().startsWith("The lease may have expired"), report.getError());
    assertFalse(Thread.currentThread().isInterrupted());
  }

  @Test
  void countsFromStart() {
    runs.answers(HeartbeatRequest.class, Answers.breaks(Code.UNAVAILABLE));
    Handler handler =
        execution -> {
          Thread.sleep(60_000);
          return null;
        };
    runs.client.execute("r", FENCED.withLease(Duration.ofMillis(100)), handler);
    assertEquals(RunStatus.RUN_STATUS_ERROR, runs.last(CompleteRequest.class).getStatus());
  }

  @Test
  void renewedLeaseKeepsHandlerRunning() {
    runs.answers(HeartbeatRequest.class, renewed());
    Handler handler =
        execution -> {
          Thread.sleep(3_000);
          return null;
        };
    runs.client.execute("r", FENCED.withLease(Duration.ofSeconds(2)), handler);
    assertEquals(RunStatus.RUN_STATUS_SUCCESS, runs.last(CompleteRequest.class).getStatus());
  }
}
