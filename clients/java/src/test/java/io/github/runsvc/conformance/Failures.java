package io.github.runsvc.conformance;

import com.google.gson.JsonObject;
import io.github.runsvc.client.ExecuteOptions;
import io.github.runsvc.client.RunClient;
import io.github.runsvc.v1.Progress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;

/** Executions at the same time, whose handlers end in every way that the language has. */
final class Failures {
  private static final String LONG = "long".repeat(100_000);

  private static final List<Callable<Progress>> ENDS =
      List.of(
          () -> null,
          () -> Progress.newBuilder().setTotalTokens(1).build(),
          () -> Progress.newBuilder().setTotalTokens(-1).build(),
          () -> Progress.newBuilder().setLastAiMessage(LONG.repeat(20)).build(),
          throwing(new IllegalStateException("the work failed")),
          throwing(new IllegalStateException()),
          throwing(new IllegalStateException(LONG)),
          throwing(new IllegalStateException("\ud800\u0000")),
          throwing(new Textless()),
          throwing(new Endless()),
          throwing(new CancellationException()),
          throwing(new AssertionError("the work failed")),
          throwing(new StackOverflowError()),
          throwing(new OutOfMemoryError("of the work")),
          throwing(new Throwable("neither an exception nor an error")),
          Failures::overflow);

  private Failures() {}

  /** A failure whose message cannot be read. */
  private static final class Textless extends Exception {
    private static final long serialVersionUID = 1L;

    @Override
    public String getMessage() {
      throw new IllegalStateException("no message");
    }
  }

  /** A failure whose message overflows the stack. */
  private static final class Endless extends Exception {
    private static final long serialVersionUID = 1L;

    @Override
    public String getMessage() {
      return toString();
    }
  }

  private static Progress overflow() {
    return overflow();
  }

  private static Callable<Progress> throwing(Throwable failure) {
    return () -> {
      Failures.<RuntimeException>throwUnchecked(failure);
      return null;
    };
  }

  @SuppressWarnings("unchecked")
  private static <T extends Throwable> void throwUnchecked(Throwable failure) throws T {
    throw (T) failure;
  }

  /** Executes the runs of a command, and waits until all executions have returned. */
  static JsonObject executeAll(JsonObject command, RunClient runs) {
    Duration lease = Duration.ofMillis(command.get("lease_ttl_ms").getAsLong());
    ExecuteOptions options = ExecuteOptions.forNewWorker().withLease(lease);
    long work = command.get("work_ms").getAsLong();
    int number = command.get("first").getAsInt();
    List<Thread> threads = new ArrayList<>();
    for (var runId : command.getAsJsonArray("run_ids")) {
      Callable<Progress> end = ENDS.get(number++ % ENDS.size());
      Thread thread = new Thread(() -> execute(runs, runId.getAsString(), options, work, end));
      thread.start();
      threads.add(thread);
    }
    for (Thread thread : threads) {
      try {
        thread.join();
      } catch (InterruptedException interrupted) {
        throw new IllegalStateException(interrupted);
      }
    }
    return new JsonObject();
  }

  private static void execute(
      RunClient runs, String runId, ExecuteOptions options, long work, Callable<Progress> end) {
    try {
      runs.execute(
          runId,
          options,
          execution -> {
            try {
              Thread.sleep(work);
            } catch (InterruptedException stopped) {
              // A handler that is asked to stop may fail as well.
            }
            return end.call();
          });
    } catch (Throwable failure) {
      // The suite reads the run from the server.
    }
  }
}
