package io.github.runsvc.client;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
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
  private Supplier<String> token;
  private File tlsCa;
  private Duration timeout;
  private ManagedChannel channel;

  /** Reads the variables of an environment. */
  RunClientBuilder(Map<String, String> environment) {
    target(variable(environment, "RUNSVC_TARGET"));
    token(variable(environment, "RUNSVC_TOKEN"));
    String certificates = variable(environment, "RUNSVC_TLS_CA");
    tlsCa(certificates == null ? null : Path.of(certificates));
    timeout = seconds(variable(environment, "RUNSVC_TIMEOUT"));
  }

  /**
   * Sets the server's address, such as {@code runs.internal:50051}. The variable is {@code
   * RUNSVC_TARGET}, the default {@code 127.0.0.1:50051}.
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
    return tokenSupplier(token == null ? null : () -> token);
  }

  /** Sets a source of bearer tokens, called before each call and each stream of a watch. */
  public RunClientBuilder tokenSupplier(Supplier<String> token) {
    this.token = token;
    return this;
  }

  /**
   * Encrypts the connection, and sets a PEM file of trusted certificate authorities. The variable
   * is {@code RUNSVC_TLS_CA}; by default the connection is plain text.
   */
  public RunClientBuilder tlsCa(Path tlsCa) {
    this.tlsCa = tlsCa == null ? null : tlsCa.toFile();
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
   * Sets a channel with its own interceptors and transport. The client closes it. The target and
   * the certificate authorities are then ignored.
   */
  public RunClientBuilder channel(ManagedChannel channel) {
    this.channel = channel;
    return this;
  }

  /**
   * Returns the client. It connects with its first call.
   *
   * @throws IllegalArgumentException if the timeout is not positive
   * @throws UncheckedIOException if the certificates cannot be read
   */
  public RunClient build() {
    Lengths.timeout(timeout);
    return new RunClient(
        new Connection(channel == null ? open() : channel, new BearerToken(token)), timeout);
  }

  private ManagedChannel open() {
    // Detects an unresponsive peer within about 40 seconds, also on a watch without events.
    return Grpc.newChannelBuilder(target, credentials())
        .keepAliveTime(30, TimeUnit.SECONDS)
        .keepAliveTimeout(10, TimeUnit.SECONDS)
        .build();
  }

  private ChannelCredentials credentials() {
    if (tlsCa == null) {
      return InsecureChannelCredentials.create();
    }
    try {
      return TlsChannelCredentials.newBuilder().trustManager(tlsCa).build();
    } catch (IOException error) {
      throw new UncheckedIOException(
          "Cannot read the certificates in " + tlsCa + "; check the path and the PEM format",
          error);
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
