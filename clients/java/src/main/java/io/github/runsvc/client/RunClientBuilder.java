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
 * Where the server is and how to speak to it. What is not set comes from the environment; setting
 * it to null switches the environment off and leaves the default.
 */
public final class RunClientBuilder {
  private static final String DEFAULT_TARGET = "127.0.0.1:50051";
  private static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(10);

  private String target;
  private Supplier<String> token;
  private File tlsCa;
  private Duration timeout;
  private ManagedChannel channel;

  /** Starts from the variables of an environment. */
  RunClientBuilder(Map<String, String> environment) {
    target(variable(environment, "RUNSVC_TARGET"));
    token(variable(environment, "RUNSVC_TOKEN"));
    String certificates = variable(environment, "RUNSVC_TLS_CA");
    tlsCa(certificates == null ? null : Path.of(certificates));
    timeout = seconds(variable(environment, "RUNSVC_TIMEOUT"));
  }

  /**
   * The server's address, such as {@code runs.internal:50051}. Else {@code RUNSVC_TARGET}, else
   * {@code 127.0.0.1:50051}.
   */
  public RunClientBuilder target(String target) {
    this.target = target == null ? DEFAULT_TARGET : target;
    return this;
  }

  /** What proves to the server who calls. Else {@code RUNSVC_TOKEN}, else none is sent. */
  public RunClientBuilder token(String token) {
    return tokenSupplier(token == null ? null : () -> token);
  }

  /** Asked for the token before each call and each connection of a watch, so that it may change. */
  public RunClientBuilder tokenSupplier(Supplier<String> token) {
    this.token = token;
    return this;
  }

  /**
   * Speaks TLS, with a server whose certificate leads to one of these, a file in PEM. Else {@code
   * RUNSVC_TLS_CA}, else the connection is not encrypted.
   */
  public RunClientBuilder tlsCa(Path tlsCa) {
    this.tlsCa = tlsCa == null ? null : tlsCa.toFile();
    return this;
  }

  /**
   * How long a call may take; a watch has no limit. Else {@code RUNSVC_TIMEOUT} in seconds, else 10
   * seconds.
   */
  public RunClientBuilder timeout(Duration timeout) {
    this.timeout = timeout == null ? DEFAULT_TIMEOUT : timeout;
    return this;
  }

  /**
   * Speaks over this channel, for whatever the other options do not offer; they, but the token,
   * then mean nothing.
   */
  public RunClientBuilder channel(ManagedChannel channel) {
    this.channel = channel;
    return this;
  }

  /**
   * The client. It connects with its first call.
   *
   * @throws IllegalArgumentException when {@code RUNSVC_TIMEOUT} or the timeout is no time above 0
   * @throws UncheckedIOException when the certificates cannot be read
   */
  public RunClient build() {
    if (timeout.isZero() || timeout.isNegative()) {
      throw new IllegalArgumentException(
          "The timeout is " + timeout + ", which is no time above 0");
    }
    return new RunClient(
        new Connection(channel == null ? open() : channel, new BearerToken(token)), timeout);
  }

  private ManagedChannel open() {
    // A peer that froze is noticed within some 40 seconds, also by a watch that nothing happens on.
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
      throw new UncheckedIOException("The certificates " + tlsCa + " cannot be read", error);
    }
  }

  /** A variable that is set to nothing is meant to be no variable. */
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
          "RUNSVC_TIMEOUT is '" + text + "', which is no number of seconds", error);
    }
  }
}
