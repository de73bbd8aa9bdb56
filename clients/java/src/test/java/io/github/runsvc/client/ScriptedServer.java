package io.github.runsvc.client;

import io.github.runsvc.v1.AcknowledgeCancelRequest;
import io.github.runsvc.v1.AcknowledgeCancelResponse;
import io.github.runsvc.v1.AdminServiceGrpc.AdminServiceImplBase;
import io.github.runsvc.v1.ClaimRequest;
import io.github.runsvc.v1.ClaimResponse;
import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.CompleteResponse;
import io.github.runsvc.v1.CreateRequest;
import io.github.runsvc.v1.CreateResponse;
import io.github.runsvc.v1.DeleteRequest;
import io.github.runsvc.v1.DeleteResponse;
import io.github.runsvc.v1.GetRequest;
import io.github.runsvc.v1.GetResponse;
import io.github.runsvc.v1.GetServerInfoRequest;
import io.github.runsvc.v1.GetServerInfoResponse;
import io.github.runsvc.v1.HeartbeatRequest;
import io.github.runsvc.v1.HeartbeatResponse;
import io.github.runsvc.v1.ListByThreadRequest;
import io.github.runsvc.v1.ListByThreadResponse;
import io.github.runsvc.v1.ReleaseRequest;
import io.github.runsvc.v1.ReleaseResponse;
import io.github.runsvc.v1.RunServiceGrpc.RunServiceImplBase;
import io.github.runsvc.v1.SetStatusRequest;
import io.github.runsvc.v1.SetStatusResponse;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.StreamStatusResponse;
import io.github.runsvc.v1.UpdateProgressRequest;
import io.github.runsvc.v1.UpdateProgressResponse;
import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.inprocess.InProcessChannelBuilder;
import io.grpc.inprocess.InProcessServerBuilder;
import io.grpc.inprocess.InProcessSocketAddress;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;

/** An in-process server that gives the answers of a test and records the requests. */
final class ScriptedServer extends RunServiceImplBase implements ServerInterceptor, AutoCloseable {
  /** The answers to the next calls. The last one is repeated. */
  final BlockingQueue<Consumer<StreamObserver<?>>> answers = new LinkedBlockingQueue<>();

  /** The same by type of request, for calls from several threads. */
  final Map<Class<?>, BlockingQueue<Consumer<StreamObserver<?>>>> answersTo =
      new ConcurrentHashMap<>();

  final List<Object> requests = new CopyOnWriteArrayList<>();
  final List<String> authorizations = new CopyOnWriteArrayList<>();
  final List<Boolean> deadlines = new CopyOnWriteArrayList<>();
  final CountDownLatch streamCancelled = new CountDownLatch(1);
  private final Server server;

  ScriptedServer() throws IOException {
    String name = InProcessServerBuilder.generateName();
    server =
        InProcessServerBuilder.forName(name)
            .addService(this)
            .addService(admin())
            .intercept(this)
            .build()
            .start();
  }

  /** Returns a builder of clients of this server. */
  RunClientBuilder client() {
    String name = ((InProcessSocketAddress) server.getListenSockets().get(0)).getName();
    return new RunClientBuilder(Map.of()).channel(InProcessChannelBuilder.forName(name).build());
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    String authorization =
        headers.get(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER));
    authorizations.add(String.valueOf(authorization));
    deadlines.add(Context.current().getDeadline() != null);
    return next.startCall(call, headers);
  }

  @Override
  public void create(CreateRequest request, StreamObserver<CreateResponse> observer) {
    answer(request, observer);
  }

  @Override
  public void get(GetRequest request, StreamObserver<GetResponse> observer) {
    answer(request, observer);
  }

  @Override
  public void listByThread(
      ListByThreadRequest request, StreamObserver<ListByThreadResponse> observer) {
    answer(request, observer);
  }

  @Override
  public void streamStatus(
      StreamStatusRequest request, StreamObserver<StreamStatusResponse> observer) {
    ((ServerCallStreamObserver<StreamStatusResponse>) observer)
        .setOnCancelHandler(streamCancelled::countDown);
    answer(request, observer);
  }

  @Override
  public void setStatus(SetStatusRequest request, StreamObserver<SetStatusResponse> observer) {
    answer(request, observer);
  }

  @Override
  public void claim(ClaimRequest request, StreamObserver<ClaimResponse> observer) {
    answer(request, observer);
  }

  @Override
  public void release(ReleaseRequest request, StreamObserver<ReleaseResponse> observer) {
    answer(request, observer);
  }

  @Override
  public void heartbeat(HeartbeatRequest request, StreamObserver<HeartbeatResponse> observer) {
    answer(request, observer);
  }

  @Override
  public void complete(CompleteRequest request, StreamObserver<CompleteResponse> observer) {
    answer(request, observer);
  }

  @Override
  public void acknowledgeCancel(
      AcknowledgeCancelRequest request, StreamObserver<AcknowledgeCancelResponse> observer) {
    answer(request, observer);
  }

  @Override
  public void updateProgress(
      UpdateProgressRequest request, StreamObserver<UpdateProgressResponse> observer) {
    answer(request, observer);
  }

  private AdminServiceImplBase admin() {
    return new AdminServiceImplBase() {
      @Override
      public void delete(DeleteRequest request, StreamObserver<DeleteResponse> observer) {
        answer(request, observer);
      }

      @Override
      public void getServerInfo(
          GetServerInfoRequest request, StreamObserver<GetServerInfoResponse> observer) {
        answer(request, observer);
      }
    };
  }

  private void answer(Object request, StreamObserver<?> observer) {
    requests.add(request);
    BlockingQueue<Consumer<StreamObserver<?>>> next =
        answersTo.getOrDefault(request.getClass(), answers);
    (next.size() > 1 ? next.remove() : next.element()).accept(observer);
  }

  @Override
  public void close() {
    server.shutdownNow();
  }
}
