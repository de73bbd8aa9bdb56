package io.github.runsvc.client;

import com.google.protobuf.Any;
import com.google.protobuf.Message;
import com.google.rpc.ErrorInfo;
import io.grpc.Metadata;
import io.grpc.Status.Code;
import io.grpc.stub.StreamObserver;
import java.util.function.Consumer;

/** Answers of a {@link ScriptedServer}. */
final class Answers {
  static final Metadata.Key<byte[]> DETAILS =
      Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);
  private static final Metadata.Key<String> REQUEST_ID =
      Metadata.Key.of("x-request-id", Metadata.ASCII_STRING_MARSHALLER);

  private Answers() {}

  /** Sends the messages, then OK. */
  static Consumer<StreamObserver<?>> sends(Message... messages) {
    return observer -> {
      begins(messages).accept(observer);
      observer.onCompleted();
    };
  }

  /** Sends the messages, then fails without details, as a transport does. */
  static Consumer<StreamObserver<?>> breaks(Code code, Message... messages) {
    return observer -> {
      begins(messages).accept(observer);
      observer.onError(code.toStatus().asException());
    };
  }

  /** Sends the messages and leaves the call open. */
  @SuppressWarnings("unchecked")
  static Consumer<StreamObserver<?>> begins(Message... messages) {
    return observer -> {
      for (Message message : messages) {
        ((StreamObserver<Message>) observer).onNext(message);
      }
    };
  }

  /** Fails with a reason and details, as a runsvc server does. */
  static Consumer<StreamObserver<?>> refuses(Code code, String reason, Message... details) {
    var status = com.google.rpc.Status.newBuilder().setCode(code.value());
    ErrorInfo info =
        ErrorInfo.newBuilder()
            .setDomain("runsvc")
            .setReason(reason)
            .putMetadata("run_id", "r")
            .build();
    status.addDetails(Any.pack(info));
    for (Message detail : details) {
      status.addDetails(Any.pack(detail));
    }
    return fails(code, status.build().toByteArray());
  }

  /** Rejects a transition from the given status. */
  static Consumer<StreamObserver<?>> refusesFrom(String status) {
    ErrorInfo info =
        ErrorInfo.newBuilder()
            .setDomain("runsvc")
            .setReason("INVALID_TRANSITION")
            .putMetadata("from", status)
            .build();
    Code code = Code.FAILED_PRECONDITION;
    var rejection =
        com.google.rpc.Status.newBuilder().setCode(code.value()).addDetails(Any.pack(info));
    return fails(code, rejection.build().toByteArray());
  }

  /** Fails with the given bytes as details. */
  static Consumer<StreamObserver<?>> fails(Code code, byte[] details) {
    Metadata trailers = new Metadata();
    trailers.put(DETAILS, details);
    trailers.put(REQUEST_ID, "q");
    return observer ->
        observer.onError(code.toStatus().withDescription("reported").asException(trailers));
  }
}
