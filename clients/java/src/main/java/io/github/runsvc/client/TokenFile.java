package io.github.runsvc.client;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * A token in a file, which is read again when it has changed. While the file cannot be read, the
 * last token stays.
 */
final class TokenFile implements TokenSource {
  private final Path path;
  private String last;

  /** The file as of the last reading; null before the first one. */
  private FileVersion read;

  TokenFile(Path path) {
    this.path = path;
  }

  @Override
  public synchronized String token() {
    try {
      FileVersion version = FileVersion.of(path);
      if (!version.equals(read)) {
        reread(version);
      }
    } catch (IOException failure) {
      if (read == null) {
        throw TokenSource.noToken(described(failure));
      }
    }
    return last;
  }

  @Override
  public synchronized String renewed(String refused) {
    try {
      reread(FileVersion.of(path));
    } catch (IOException failure) {
      // The last token stays.
    }
    return refused.equals(last) ? null : last;
  }

  private void reread(FileVersion version) throws IOException {
    String text = new String(Files.readAllBytes(path), StandardCharsets.ISO_8859_1).strip();
    if (text.isEmpty() || !isPrintable(text)) {
      throw new IOException("The token file " + path + " must contain one token, and nothing else");
    }
    last = text;
    read = version;
  }

  private IOException described(IOException failure) {
    return failure instanceof NoSuchFileException
        ? new IOException("There is no token file " + path, failure)
        : failure;
  }

  /** Whether a text consists of printable ASCII characters without blanks. */
  static boolean isPrintable(String text) {
    return text.chars().allMatch(character -> character > ' ' && character <= '~');
  }
}
