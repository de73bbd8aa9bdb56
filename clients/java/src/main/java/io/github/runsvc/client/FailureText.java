package io.github.runsvc.client;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetEncoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/** The text of a handler's failure: a report must not fail because of it. */
final class FailureText {
  /** The longest error text that the server accepts, in bytes. */
  private static final int MAX_BYTES = 16 << 10;

  private FailureText() {}

  /**
   * Returns the failure's message in a form that the server accepts, or its class if it has no
   * message.
   */
  static String of(Throwable failure) {
    String text = message(failure);
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

  private static String message(Throwable failure) {
    String message = null;
    try {
      message = failure.getMessage();
    } catch (Throwable thrown) {
      // The class stands for the message.
    }
    return message == null || message.isEmpty() ? failure.getClass().getName() : message;
  }
}
