package io.github.runsvc.client;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * Configures a {@link RunClient}. Settings that are not made come from environment variables.
 * Setting null ignores the variable and uses the default.
 */
public final class RunClientBuilder {
  private static final String DEFAULT_TARGET = "127.0.0.1:50051";
  private static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(10);

  private String target;
  private TokenSource tokens;
  private File tlsCa;
  private File tlsCertificate;
  private File tlsKey;
  private Duration timeout;
  private ManagedChannel channel;

  /** Reads the variables of an environment. */
  RunClientBuilder(Map<String, String> environment) {
    target(variable(environment, "RUNSVC_TARGET"));
    tokens = tokens(environment);
    tlsCa = file(environment, "RUNSVC_TLS_CA");
    tlsCertificate = file(environment, "RUNSVC_TLS_CERT");
    tlsKey = file(environment, "RUNSVC_TLS_KEY");
    timeout = seconds(variable(environment, "RUNSVC_TIMEOUT"));
  }

  /** Returns the tokens of an environment; null if its variables contradict each other. */
  private static TokenSource tokens(Map<String, String> environment) {
    String token = variable(environment, "RUNSVC_TOKEN");
    String file = variable(environment, "RUNSVC_TOKEN_FILE");
    if (file == null) {
      return TokenSource.of(token == null ? "" : token);
    }
    return token == null ? new TokenFile(Path.of(file)) : null;
  }

  private static File file(Map<String, String> environment, String name) {
    String path = variable(environment, name);
    return path == null ? null : new File(path);
  }

  /**
   * Sets the server's address, such as {@code runs.internal:50051} or {@code
   * unix:/run/runsvc.sock}. With several servers, {@code dns:///runs.internal:50051} or {@code
   * ipv4:10.0.0.1:50051,10.0.0.2:50051} spreads calls and watches over those that serve. The
   * variable is {@code RUNSVC_TARGET}, the default {@code 127.0.0.1:50051}.
   */
  public RunClientBuilder target(String target) {
    this.target = target == null ? DEFAULT_TARGET : target;
    return this;
  }

  /**
   * Sets a bearer token, sent with every call and watch. The variable is {@code RUNSVC_TOKEN}; by
   * default none is sent.
   */
  public RunClientBuilder token(String token) {
    tokens = TokenSource.of(token == null ? "" : token);
    return this;
  }

  /**
   * Sets a file with a bearer token, which is sent without the white space around it. The file is
   * read again when it has changed; while it cannot be read, the last token stays. A call or watch
   * that the server refuses with UNAUTHENTICATED is repeated once if the file has another token by
   * then. The variable is {@code RUNSVC_TOKEN_FILE}, in place of {@code RUNSVC_TOKEN}.
   */
  public RunClientBuilder tokenFile(Path file) {
    tokens = file == null ? TokenSource.of("") : new TokenFile(file);
    return this;
  }

  /**
   * Sets a source of bearer tokens, called before each call and each stream of a watch, and once
   * more if the server refuses the token with UNAUTHENTICATED. The empty token and null are not
   * sent.
   */
  public RunClientBuilder tokenSupplier(Supplier<String> token) {
    tokens = token == null ? TokenSource.of("") : TokenSource.of(token);
    return this;
  }

  /**
   * Encrypts the connection, and sets a PEM file of trusted certificate authorities. It is read
   * again for new connections when it has changed. The variable is {@code RUNSVC_TLS_CA}; by
   * default the connection is plain text.
   */
  public RunClientBuilder tlsCa(Path tlsCa) {
    this.tlsCa = tlsCa == null ? null : tlsCa.toFile();
    return this;
  }

  /**
   * Encrypts the connection, and sets PEM files of the client's certificate chain and of its key,
   * which is in the format PKCS #8. They are read again likewise. The variables are {@code
   * RUNSVC_TLS_CERT} and {@code RUNSVC_TLS_KEY}. Null for both sets none.
   */
  public RunClientBuilder tlsCertificate(Path certificate, Path key) {
    tlsCertificate = certificate == null ? null : certificate.toFile();
    tlsKey = key == null ? null : key.toFile();
    return this;
  }

  /**
   * Sets the deadline of calls; a watch has none. There is no longest one. The variable is {@code
   * RUNSVC_TIMEOUT}, in seconds, the default 10 seconds.
   */
  public RunClientBuilder timeout(Duration timeout) {
    this.timeout = timeout == null ? DEFAULT_TIMEOUT : timeout;
    return this;
  }

  /**
   * Sets a channel with its own interceptors and transport. The client closes it, and uses it for
   * all calls and watches: a server limits those of one connection. The target and the files for
   * TLS are then ignored.
   */
  public RunClientBuilder channel(ManagedChannel channel) {
    this.channel = channel;
    return this;
  }

  /**
   * Returns the client. It connects with its first call.
   *
   * @throws IllegalArgumentException if the timeout is not positive, or if settings contradict each
   *     other
   * @throws UncheckedIOException if the files for TLS cannot be read
   */
  public RunClient build() {
    Lengths.timeout(timeout);
    if (tokens == null) {
      throw new IllegalArgumentException(
          "RUNSVC_TOKEN and RUNSVC_TOKEN_FILE are both set; unset one of them");
    }
    Connections connections =
        channel == null
            ? opened(target, credentials(), tokens)
            : new Connections(channel, null, tokens);
    return new RunClient(new Calls(connections, timeout, null));
  }

  private static Connections opened(
      String target, ChannelCredentials credentials, TokenSource tokens) {
    return new Connections(open(target, credentials), () -> open(target, credentials), tokens);
  }

  private static ManagedChannel open(String target, ChannelCredentials credentials) {
    ManagedChannelBuilder<?> channel = Grpc.newChannelBuilder(target, credentials);
    Balancing.configure(target, channel);
    // Detects an unresponsive peer within about 40 seconds, also on a watch without events.
    return channel
        .keepAliveTime(30, TimeUnit.SECONDS)
        .keepAliveTimeout(10, TimeUnit.SECONDS)
        .build();
  }

  private ChannelCredentials credentials() {
    if (tlsCa == null && tlsCertificate == null && tlsKey == null) {
      return InsecureChannelCredentials.create();
    }
    if ((tlsCertificate == null) != (tlsKey == null)) {
      throw new IllegalArgumentException(
          "A client certificate needs its certificate (RUNSVC_TLS_CERT) and its key"
              + " (RUNSVC_TLS_KEY), but one of the files is missing");
    }
    try {
      TlsChannelCredentials.Builder credentials = TlsChannelCredentials.newBuilder();
      if (tlsCa != null) {
        credentials.trustManager(new ReloadedTrust(tlsCa));
      }
      if (tlsKey != null) {
        credentials.keyManager(new ReloadedKeys(tlsCertificate, tlsKey));
      }
      return credentials.build();
    } catch (IOException | GeneralSecurityException error) {
      throw new UncheckedIOException(
          "Cannot read the files for TLS; check the paths and the PEM format: "
              + error.getMessage(),
          error instanceof IOException unreadable ? unreadable : new IOException(error));
    }
  }

  /** Returns a variable, or null if it is unset or empty. */
  private static String variable(Map<String, String> environment, String name) {
    String value = environment.get(name);
    return value == null || value.isEmpty() ? null : value;
  }

  private static Duration seconds(String text) {
    if (text == null) {
      return DEFAULT_TIMEOUT;
    }
    try {
      return Duration.ofNanos(Math.round(Double.parseDouble(text) * 1e9));
    } catch (NumberFormatException error) {
      throw new IllegalArgumentException(
          "RUNSVC_TIMEOUT must be a number of seconds, such as 2.5, but is '" + text + "'", error);
    }
  }
}
