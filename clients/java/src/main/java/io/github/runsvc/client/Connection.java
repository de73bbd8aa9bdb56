package io.github.runsvc.client;

import io.github.runsvc.v1.AdminServiceGrpc;
import io.github.runsvc.v1.AdminServiceGrpc.AdminServiceBlockingV2Stub;
import io.github.runsvc.v1.RunServiceGrpc;
import io.github.runsvc.v1.RunServiceGrpc.RunServiceBlockingV2Stub;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** A channel to the server, and stubs that send the token. */
final class Connection {
  final RunServiceBlockingV2Stub runs;
  final AdminServiceBlockingV2Stub admin;

  /** Pause between attempts to connect. It limits the wait of a call that is sent once. */
  private static final Duration RECONNECT_PAUSE = Duration.ofSeconds(1);

  private final ManagedChannel channel;

  Connection(ManagedChannel channel, TokenSource tokens) {
    Channel authorized = ClientInterceptors.intercept(channel, new Credentials(tokens));
    this.runs = RunServiceGrpc.newBlockingV2Stub(authorized);
    this.admin = AdminServiceGrpc.newBlockingV2Stub(authorized);
    this.channel = channel;
    keepConnecting();
  }

  /** Reconnects while there is no server. The channel's own pauses grow to two minutes. */
  private void keepConnecting() {
    ConnectivityState state = channel.getState(false);
    if (state == ConnectivityState.TRANSIENT_FAILURE) {
      // Random, so that clients do not reconnect in step.
      long pause =
          ThreadLocalRandom.current()
              .nextLong(RECONNECT_PAUSE.toNanos(), 2 * RECONNECT_PAUSE.toNanos());
      CompletableFuture.delayedExecutor(pause, TimeUnit.NANOSECONDS)
          .execute(
              () -> {
                retryNow();
                keepConnecting();
              });
    } else if (state != ConnectivityState.SHUTDOWN) {
      channel.notifyWhenStateChanged(state, this::keepConnecting);
    }
  }

  /** Connects at once if the channel is in one of its own pauses, of up to two minutes. */
  void retryNow() {
    if (channel.getState(false) == ConnectivityState.TRANSIENT_FAILURE) {
      channel.resetConnectBackoff();
    }
  }

  boolean isClosed() {
    return channel.isShutdown();
  }

  /** Ends calls in progress. */
  void shutdown() {
    channel.shutdownNow();
  }

  /** Waits up to 5 seconds until all connections are closed. */
  static void awaitClosed(List<Connection> connections) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(5);
    try {
      for (Connection connection : connections) {
        connection.channel.awaitTermination(end - System.nanoTime(), TimeUnit.NANOSECONDS);
      }
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
