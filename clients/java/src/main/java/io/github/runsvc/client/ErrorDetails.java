package io.github.runsvc.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.github.runsvc.client.RunException.Violation;
import io.grpc.Metadata;
import java.io.Serializable;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * The details in the trailers of a failed call. A detail that does not parse is ignored.
 *
 * @param reason the name of an ErrorReason without its prefix, or empty
 * @param retryAfter null if the server gave no advice
 * @param requestId the server's id of the call, or empty
 */
record ErrorDetails(
    String reason,
    Map<String, String> metadata,
    List<Violation> violations,
    Duration retryAfter,
    String requestId)
    implements Serializable {
  private static final String DOMAIN = "runsvc";
  private static final Metadata.Key<byte[]> DETAILS =
      Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

  /** Present in the trailers of every error of a runsvc server. */
  private static final Metadata.Key<String> REQUEST_ID =
      Metadata.Key.of("x-request-id", Metadata.ASCII_STRING_MARSHALLER);

  /** Reads trailers, which are null if the call did not reach a server. */
  static ErrorDetails of(Metadata trailers) {
    List<Any> details = details(trailers);
    Optional<ErrorInfo> info =
        find(details, ErrorInfo.class, found -> found.getDomain().equals(DOMAIN));
    return new ErrorDetails(
        info.map(ErrorInfo::getReason).orElse(""),
        info.map(found -> Map.copyOf(found.getMetadataMap())).orElse(Map.of()),
        find(details, BadRequest.class, found -> true)
            .map(ErrorDetails::violations)
            .orElse(List.of()),
        find(details, RetryInfo.class, found -> true).map(ErrorDetails::delay).orElse(null),
        requestId(trailers));
  }

  /** Returns the details of a field that the client itself rejects. */
  static ErrorDetails of(Violation violation) {
    return new ErrorDetails("", Map.of(), List.of(violation), null, "");
  }

  private static String requestId(Metadata trailers) {
    String id = trailers == null ? null : trailers.get(REQUEST_ID);
    return id == null ? "" : id;
  }

  /** Whether no runsvc server sent the error. */
  boolean fromTransport() {
    return requestId.isEmpty();
  }

  private static List<Any> details(Metadata trailers) {
    byte[] bytes = trailers == null ? null : trailers.get(DETAILS);
    try {
      return bytes == null ? List.of() : com.google.rpc.Status.parseFrom(bytes).getDetailsList();
    } catch (InvalidProtocolBufferException error) {
      return List.of();
    }
  }

  private static <T extends Message> Optional<T> find(
      List<Any> details, Class<T> type, Predicate<T> wanted) {
    return details.stream()
        .filter(detail -> detail.is(type))
        .flatMap(detail -> unpack(detail, type).stream())
        .filter(wanted)
        .findFirst();
  }

  private static <T extends Message> Optional<T> unpack(Any detail, Class<T> type) {
    try {
      return Optional.of(detail.unpack(type));
    } catch (InvalidProtocolBufferException error) {
      return Optional.empty();
    }
  }

  private static List<Violation> violations(BadRequest request) {
    return request.getFieldViolationsList().stream()
        .map(violation -> new Violation(violation.getField(), violation.getDescription()))
        .toList();
  }

  private static Duration delay(RetryInfo info) {
    // No sum of them overflows: nanoseconds outside of a second are no valid message.
    int nanos = Math.max(0, Math.min(info.getRetryDelay().getNanos(), 999_999_999));
    return Duration.ofSeconds(info.getRetryDelay().getSeconds(), nanos);
  }
}
