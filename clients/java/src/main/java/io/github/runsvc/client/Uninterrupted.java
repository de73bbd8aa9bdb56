package io.github.runsvc.client;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.Supplier;

/** Work that an interrupt of the calling thread does not reach. */
final class Uninterrupted {
  private Uninterrupted() {}

  /**
   * Does the work on a thread of its own and waits for it.
   *
   * @param interrupted called for each interrupt of the calling thread, which is interrupted again
   *     at the end
   */
  static <T> T call(String name, Supplier<T> work, Runnable interrupted) {
    FutureTask<T> task = new FutureTask<>(work::get);
    start(name, task);
    boolean isInterrupted = false;
    try {
      while (true) {
        try {
          return task.get();
        } catch (InterruptedException again) {
          isInterrupted = true;
          interrupted.run();
        }
      }
    } catch (ExecutionException failure) {
      throw unchecked(failure.getCause());
    } finally {
      if (isInterrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Starts a thread that does not keep the program running. */
  static void start(String name, Runnable work) {
    Thread thread = new Thread(work, "runsvc " + name);
    thread.setDaemon(true);
    thread.start();
  }

  private static RuntimeException unchecked(Throwable failure) {
    if (failure instanceof Error error) {
      throw error;
    }
    return (RuntimeException) failure;
  }
}
