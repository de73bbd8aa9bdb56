package io.github.runsvc.client;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetEncoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The text of a handler's failure: a report must not fail because of it. */
final class FailureText {
  /** The longest error text that is sent, in bytes. The server keeps 16 KiB, and marks the cut. */
  private static final int MAX_BYTES = 64 << 10;

  /** The longest time in which a failure returns its message. */
  private static final Duration MAX_TIME = Duration.ofSeconds(1);

  private FailureText() {}

  /**
   * Returns the failure's message in a form that the server accepts. Its class stands for a message
   * that is empty, or that the failure does not return.
   */
  static String of(Throwable failure) {
    String text = message(failure);
    return cut(text == null || text.isEmpty() ? failure.getClass().getName() : text);
  }

  /** Returns the part of a text that the server accepts. */
  static String cut(String text) {
    CharsetEncoder encoder =
        StandardCharsets.UTF_8
            .newEncoder()
            .onMalformedInput(CodingErrorAction.REPLACE)
            .onUnmappableCharacter(CodingErrorAction.REPLACE);
    ByteBuffer bytes = ByteBuffer.allocate(MAX_BYTES);
    // Encodes whole characters only.
    encoder.encode(CharBuffer.wrap(text), bytes, true);
    return new String(bytes.array(), 0, bytes.position(), StandardCharsets.UTF_8);
  }

  /** Returns the failure's message; null if it throws or takes too long. */
  private static String message(Throwable failure) {
    FutureTask<String> message = new FutureTask<>(failure::getMessage);
    Uninterrupted.start("failure text", message);
    try {
      return message.get(MAX_TIME.toNanos(), TimeUnit.NANOSECONDS);
    } catch (ExecutionException | TimeoutException none) {
      return null;
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      return null;
    }
  }
}
