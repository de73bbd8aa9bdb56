package io.github.runsvc.client;

import io.github.runsvc.v1.AdminServiceGrpc;
import io.github.runsvc.v1.AdminServiceGrpc.AdminServiceBlockingV2Stub;
import io.github.runsvc.v1.RunServiceGrpc;
import io.github.runsvc.v1.RunServiceGrpc.RunServiceBlockingV2Stub;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import java.util.concurrent.TimeUnit;

/** The channel to a server, and the stubs that send the token over it. */
final class Connection implements AutoCloseable {
  final RunServiceBlockingV2Stub runs;
  final AdminServiceBlockingV2Stub admin;
  private final ManagedChannel channel;

  Connection(ManagedChannel channel, BearerToken token) {
    Channel authorized = ClientInterceptors.intercept(channel, token);
    this.runs = RunServiceGrpc.newBlockingV2Stub(authorized);
    this.admin = AdminServiceGrpc.newBlockingV2Stub(authorized);
    this.channel = channel;
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
