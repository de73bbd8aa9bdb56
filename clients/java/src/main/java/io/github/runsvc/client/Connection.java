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
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** The channel to a server, and the stubs that send the token over it. */
final class Connection implements AutoCloseable {
  final RunServiceBlockingV2Stub runs;
  final AdminServiceBlockingV2Stub admin;

  /** Between two attempts to connect: a call that is made once must not wait for more. */
  private static final Duration PAUSE = Duration.ofSeconds(1);

  private final ManagedChannel channel;

  Connection(ManagedChannel channel, BearerToken token) {
    Channel authorized = ClientInterceptors.intercept(channel, token);
    this.runs = RunServiceGrpc.newBlockingV2Stub(authorized);
    this.admin = AdminServiceGrpc.newBlockingV2Stub(authorized);
    this.channel = channel;
    keepConnecting();
  }

  /** While there is no server; the channel's own pauses grow to two minutes. */
  private void keepConnecting() {
    ConnectivityState state = channel.getState(false);
    if (state == ConnectivityState.TRANSIENT_FAILURE) {
      // Jittered, so that clients part.
      long pause = ThreadLocalRandom.current().nextLong(PAUSE.toNanos(), 2 * PAUSE.toNanos());
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

  /**
   * Whoever tries again has waited: the channel's own pauses, of up to two minutes, do not come on
   * top.
   */
  void retryNow() {
    if (channel.getState(false) == ConnectivityState.TRANSIENT_FAILURE) {
      channel.resetConnectBackoff();
    }
  }

  boolean isClosed() {
    return channel.isShutdown();
  }

  /** Ends what is under way, and waits until the connection is closed. */
  @Override
  public void close() {
    channel.shutdownNow();
    try {
      channel.awaitTermination(5, TimeUnit.SECONDS);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
