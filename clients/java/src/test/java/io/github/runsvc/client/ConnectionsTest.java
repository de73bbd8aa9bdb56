package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.runsvc.v1.GetRequest;
import io.github.runsvc.v1.GetResponse;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunServiceGrpc.RunServiceImplBase;
import io.github.runsvc.v1.StatusEvent;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.StreamStatusResponse;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.netty.shaded.io.netty.channel.EventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.MultiThreadIoEventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.epoll.Epoll;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollIoHandler;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollServerDomainSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.unix.DomainSocketAddress;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The connections of a client to servers that listen. */
class ConnectionsTest {
  @TempDir Path folder;

  private final List<String> owners = new CopyOnWriteArrayList<>();

  /** Answers Get, and sends one event on each stream, which stays open. */
  private static final class Listening extends RunServiceImplBase {
    @Override
    public void get(GetRequest request, StreamObserver<GetResponse> observer) {
      observer.onNext(GetResponse.newBuilder().setRun(Run.newBuilder().setRunId("r")).build());
      observer.onCompleted();
    }

    @Override
    public void streamStatus(
        StreamStatusRequest request, StreamObserver<StreamStatusResponse> observer) {
      observer.onNext(
          StreamStatusResponse.newBuilder().setEvent(StatusEvent.STATUS_EVENT_CHANGED).build());
    }
  }

  private final class Owners implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
      owners.add(
          String.valueOf(
              headers.get(Metadata.Key.of("runsvc-owner", Metadata.ASCII_STRING_MARSHALLER))));
      return next.startCall(call, headers);
    }
  }

  private NettyServerBuilder with(NettyServerBuilder builder) {
    return builder
        .maxConcurrentCallsPerConnection(100)
        .addService(new Listening())
        .intercept(new Owners());
  }

  private static RunClient client(String target) {
    return new RunClientBuilder(Map.of()).target(target).build();
  }

  @Test
  void watchesBeyondOneConnectionLeaveRoomForCalls() throws IOException {
    Server server =
        with(NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", 0))).build().start();
    try (RunClient client = client("127.0.0.1:" + server.getPort())) {
      for (int round = 0; round < 2; round++) {
        List<Watch> watches = new ArrayList<>();
        for (int count = 0; count < 300; count++) {
          Watch watch = client.watch("r");
          watch.next();
          watches.add(watch);
        }
        assertEquals("r", client.get("r").getRunId());
        watches.forEach(Watch::close);
      }
    } finally {
      server.shutdownNow();
    }
  }

  @Test
  void ownerGoesWithEveryCallAndWatchOfItsView() throws IOException {
    Server server =
        with(NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", 0))).build().start();
    try (RunClient client = client("127.0.0.1:" + server.getPort())) {
      for (RunClient view : List.of(client.forOwner("ann"), client, client.forOwner(""))) {
        view.get("r");
        try (Watch watch = view.watch("r")) {
          watch.next();
        }
      }
      assertThrows(IllegalArgumentException.class, () -> client.forOwner("an n"));
    } finally {
      server.shutdownNow();
    }
    assertEquals(List.of("ann", "ann", "null", "null", "", ""), owners);
  }

  @Test
  void unixSocketIsTarget() throws IOException {
    Assumptions.assumeTrue(Epoll.isAvailable());
    String path = folder.resolve("s").toString();
    EventLoopGroup group = new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory());
    Server server =
        with(NettyServerBuilder.forAddress(new DomainSocketAddress(path)))
            .channelType(EpollServerDomainSocketChannel.class)
            .bossEventLoopGroup(group)
            .workerEventLoopGroup(group)
            .build()
            .start();
    try (RunClient client = client("unix:" + path)) {
      assertEquals("r", client.get("r").getRunId());
    } finally {
      server.shutdownNow();
      group.shutdownGracefully();
    }
  }
}
