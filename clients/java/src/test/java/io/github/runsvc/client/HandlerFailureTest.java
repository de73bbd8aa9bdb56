package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.runsvc.v1.AcknowledgeCancelRequest;
import io.github.runsvc.v1.AcknowledgeCancelResponse;
import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.CompleteResponse;
import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunStatus;
import io.github.runsvc.v1.UpdateProgressRequest;
import io.grpc.Status.Code;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The end of a run is reported, whatever the handler throws or returns. */
class HandlerFailureTest {
  private static final ExecuteOptions OPTIONS = ExecuteOptions.forWorker("w");
  private static final Progress NEGATIVE = Progress.newBuilder().setTotalTokens(-1).build();
  private static final Progress LARGE =
      Progress.newBuilder().setLastAiMessage("x".repeat(4 << 20)).build();

  private ExecutionServer runs;

  @BeforeEach
  void start() throws IOException {
    runs = new ExecutionServer();
  }

  @AfterEach
  void stop() {
    runs.close();
  }

  /** A failure whose message cannot be read. */
  private static final class HostileException extends Exception {
    private static final long serialVersionUID = 1L;

    @Override
    public String getMessage() {
      throw new IllegalStateException("no message");
    }
  }

  /** A failure whose message overflows the stack. */
  private static final class EndlessException extends Exception {
    private static final long serialVersionUID = 1L;

    @Override
    public String getMessage() {
      return toString();
    }
  }

  /** A failure whose message never arrives. */
  private static final class BlockingException extends Exception {
    private static final long serialVersionUID = 1L;

    @Override
    public String getMessage() {
      while (true) {
        LockSupport.park();
      }
    }
  }

  /** A failure that is neither an Exception nor an Error. */
  private static final class OtherThrowable extends Throwable {
    private static final long serialVersionUID = 1L;

    OtherThrowable(String message) {
      super(message);
    }
  }

  private static Stream<Exception> failuresWithoutMessage() {
    return Stream.of(
        new IOException(), new IOException(""), new HostileException(), new EndlessException());
  }

  @ParameterizedTest
  @MethodSource("failuresWithoutMessage")
  void classStandsForMessage(Exception failure) {
    Handler handler =
        execution -> {
          throw failure;
        };
    runs.client.execute("r", OPTIONS, handler);
    CompleteRequest report = runs.last(CompleteRequest.class);
    assertEquals(RunStatus.RUN_STATUS_ERROR, report.getStatus());
    assertEquals(failure.getClass().getName(), report.getError());
  }

  @Test
  void classStandsForMessageThatNeverArrives() {
    Handler handler =
        execution -> {
          throw new BlockingException();
        };
    runs.client.execute("r", OPTIONS, handler);
    assertEquals(BlockingException.class.getName(), runs.last(CompleteRequest.class).getError());
  }

  @SuppressWarnings("unchecked")
  private static <T extends Throwable> void throwUnchecked(Throwable failure) throws T {
    throw (T) failure;
  }

  private static Stream<Throwable> failuresThatAreNoExceptions() {
    return Stream.of(
        new OtherThrowable("odd"), new StackOverflowError("odd"), new AssertionError("odd"));
  }

  @ParameterizedTest
  @MethodSource("failuresThatAreNoExceptions")
  void otherThrowablesAreReportedAndRethrown(Throwable failure) {
    Handler handler =
        execution -> {
          HandlerFailureTest.<RuntimeException>throwUnchecked(failure);
          return null;
        };
    assertSame(
        failure, assertThrows(Throwable.class, () -> runs.client.execute("r", OPTIONS, handler)));
    assertEquals("odd", runs.last(CompleteRequest.class).getError());
  }

  @Test
  void errorIsRethrownEvenIfItsReportFails() {
    runs.answers(CompleteRequest.class, Answers.refuses(Code.PERMISSION_DENIED, ""));
    AssertionError failure = new AssertionError("odd");
    Handler handler =
        execution -> {
          throw failure;
        };
    assertSame(
        failure,
        assertThrows(AssertionError.class, () -> runs.client.execute("r", OPTIONS, handler)));
    assertEquals(RunException.class, failure.getSuppressed()[0].getClass());
  }

  @Test
  void endIsReportedWithoutUsageThatServerRejects() {
    runs.answers(
        CompleteRequest.class,
        Answers.refuses(Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
        Answers.sends(CompleteResponse.getDefaultInstance()));
    assertThrows(
        RunException.InvalidArgument.class,
        () -> runs.client.execute("r", OPTIONS, execution -> NEGATIVE));
    CompleteRequest report = runs.last(CompleteRequest.class);
    assertFalse(report.hasProgress());
    assertEquals(RunStatus.RUN_STATUS_SUCCESS, report.getStatus());
  }

  @Test
  void acknowledgementIsSentWithoutUsageThatServerRejects() {
    runs.answers(CompleteRequest.class, Answers.refusesFrom("INTERRUPTED"));
    runs.answers(
        AcknowledgeCancelRequest.class,
        Answers.refuses(Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
        Answers.sends(AcknowledgeCancelResponse.getDefaultInstance()));
    assertThrows(
        RunException.InvalidArgument.class,
        () -> runs.client.execute("r", OPTIONS, execution -> NEGATIVE));
    assertFalse(runs.last(AcknowledgeCancelRequest.class).hasProgress());
  }

  @Test
  void usageThatIsTooLargeEndsRunAsError() {
    Handler handler =
        execution -> {
          assertThrows(IllegalArgumentException.class, () -> execution.report(LARGE));
          return LARGE;
        };
    runs.client.execute("r", OPTIONS, handler);
    CompleteRequest report = runs.last(CompleteRequest.class);
    assertEquals(RunStatus.RUN_STATUS_ERROR, report.getStatus());
    assertTrue(report.getError().contains("shorten"));
    assertTrue(runs.requests(UpdateProgressRequest.class).isEmpty());
  }

  /** Interrupts a thread before an answer. */
  private static Consumer<StreamObserver<?>> interrupting(
      Thread thread, Consumer<StreamObserver<?>> answer) {
    return observer -> {
      thread.interrupt();
      answer.accept(observer);
    };
  }

  @Test
  void endIsReportedInSpiteOfInterruptsDuringReport() {
    Thread caller = Thread.currentThread();
    Run success = ExecutionServer.run(RunStatus.RUN_STATUS_SUCCESS);
    runs.answers(
        CompleteRequest.class,
        interrupting(caller, Answers.breaks(Code.UNAVAILABLE)),
        interrupting(caller, Answers.sends(CompleteResponse.newBuilder().setRun(success).build())));
    Run done = runs.client.execute("r", OPTIONS, execution -> null);
    assertTrue(Thread.interrupted());
    assertEquals(RunStatus.RUN_STATUS_SUCCESS, done.getStatus());
  }
}
