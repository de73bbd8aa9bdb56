package io.github.runsvc.client;

import io.github.runsvc.v1.AdminServiceGrpc.AdminServiceBlockingV2Stub;
import io.github.runsvc.v1.ClaimRequest;
import io.github.runsvc.v1.RunServiceGrpc.RunServiceBlockingV2Stub;
import io.grpc.Metadata;
import io.grpc.StatusException;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.MetadataUtils;
import java.time.Duration;

/** The calls of a client, with its deadline, its owner, a token and retries. */
final class Calls {
  private static final Metadata.Key<String> OWNER =
      Metadata.Key.of("runsvc-owner", Metadata.ASCII_STRING_MARSHALLER);

  final Connections connections;
  final Duration timeout;

  /** How long the server holds a claim that names no wait. */
  private static final Duration WAIT = Duration.ofSeconds(20);

  /** The owner that is sent with every call; null sends none. */
  final String owner;

  final RunServiceBlockingV2Stub runs;
  final AdminServiceBlockingV2Stub admin;

  Calls(Connections connections, Duration timeout, String owner) {
    this.connections = connections;
    this.timeout = timeout;
    this.owner = owner;
    this.runs = owned(connections.first.runs);
    this.admin = owned(connections.first.admin);
  }

  /** Returns the stub with the owner of this client. */
  <S extends AbstractStub<S>> S owned(S stub) {
    if (owner == null) {
      return stub;
    }
    Metadata headers = new Metadata();
    headers.put(OWNER, owner);
    return stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  /** Returns how long the server may hold a claim. */
  static Duration heldFor(ClaimRequest request) {
    var wait = request.getWait();
    return request.hasWait() ? Duration.ofSeconds(wait.getSeconds(), wait.getNanos()) : WAIT;
  }

  /**
   * Makes a call on a stub.
   *
   * @param held how long the server may hold the call before it answers
   * @param repeatable whether the call may be sent twice
   */
  <S extends AbstractStub<S>, T> T make(
      S stub, Duration held, boolean repeatable, Call<S, T> call) {
    // The sum of lengths of any size.
    Duration limit = Duration.ofNanos(Lengths.nanos(timeout)).plus(held);
    return new Attempts(connections, limit, repeatable)
        .make(
            (deadline, token) ->
                call.on(stub.withDeadline(deadline).withOption(Credentials.TOKEN, token)));
  }

  /** A call on a stub. */
  interface Call<S, T> {
    T on(S stub) throws StatusException;
  }
}
