package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class ConnectionTest {
  @Test
  void reconnectsWhileThereIsNoServer() throws InterruptedException {
    UnconnectedChannel channel = new UnconnectedChannel();
    new Connection(channel, TokenSource.of(""));
    assertEquals(ConnectivityState.IDLE, channel.awaited.poll(20, TimeUnit.SECONDS));
    channel.state = ConnectivityState.TRANSIENT_FAILURE;
    channel.changed.run();
    assertTrue(channel.resets.await(20, TimeUnit.SECONDS));
    channel.state = ConnectivityState.READY;
    assertEquals(ConnectivityState.READY, channel.awaited.poll(20, TimeUnit.SECONDS));
  }

  private static final class UnconnectedChannel extends ManagedChannel {
    final CountDownLatch resets = new CountDownLatch(2);
    final BlockingQueue<ConnectivityState> awaited = new LinkedBlockingQueue<>();
    volatile ConnectivityState state = ConnectivityState.IDLE;
    volatile Runnable changed;

    @Override
    public ConnectivityState getState(boolean requestConnection) {
      return state;
    }

    @Override
    public void notifyWhenStateChanged(ConnectivityState source, Runnable callback) {
      changed = callback;
      awaited.add(source);
    }

    @Override
    public void resetConnectBackoff() {
      resets.countDown();
    }

    @Override
    public ManagedChannel shutdown() {
      return this;
    }

    @Override
    public ManagedChannel shutdownNow() {
      return this;
    }

    @Override
    public boolean isShutdown() {
      return false;
    }

    @Override
    public boolean isTerminated() {
      return false;
    }

    @Override
    public boolean awaitTermination(long timeout, TimeUnit unit) {
      return false;
    }

    @Override
    public <Q, A> ClientCall<Q, A> newCall(MethodDescriptor<Q, A> method, CallOptions options) {
      throw new UnsupportedOperationException();
    }

    @Override
    public String authority() {
      return "nowhere";
    }
  }
}
