package io.github.runsvc.client;

import io.grpc.Status;
import io.grpc.StatusException;
import java.io.Serializable;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A failed call or watch. The subclasses are the failures that callers often handle; {@link #code}
 * and {@link #reason} distinguish all others.
 */
public class RunException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final Status.Code code;
  private final ErrorDetails details;

  private RunException(StatusException cause, ErrorDetails details) {
    super(describe(cause.getStatus(), details), cause);
    this.code = cause.getStatus().getCode();
    this.details = details;
  }

  /**
   * Returns the exception for a call's status and trailers, for calls over a generated stub.
   *
   * @param cause the exception that the stub threw
   */
  public static RunException of(StatusException cause) {
    ErrorDetails details = ErrorDetails.of(cause.getTrailers());
    if (details.reason().equals("THREAD_BUSY")) {
      return new ThreadBusy(cause, details);
    }
    return switch (cause.getStatus().getCode()) {
      case NOT_FOUND -> new NotFound(cause, details);
      case FAILED_PRECONDITION -> new FailedPrecondition(cause, details);
      case INVALID_ARGUMENT -> new InvalidArgument(cause, details);
      case UNAVAILABLE -> new Unavailable(cause, details);
      default -> new RunException(cause, details);
    };
  }

  /** Returns the rejection of a field that cannot be sent. */
  static InvalidArgument invalid(String field, String description) {
    Status status = Status.INVALID_ARGUMENT.withDescription(field + ": " + description);
    return new InvalidArgument(
        status.asException(), ErrorDetails.of(new Violation(field, description)));
  }

  private static String describe(Status status, ErrorDetails details) {
    String kind = status.getCode() + (details.reason().isEmpty() ? "" : " " + details.reason());
    String text = status.getDescription();
    return kind
        + (text == null ? "" : ": " + text)
        + (details.requestId().isEmpty() ? "" : " (request id " + details.requestId() + ")");
  }

  /** Returns the gRPC code. */
  public Status.Code code() {
    return code;
  }

  /**
   * Returns the name of an {@link io.github.runsvc.v1.ErrorReason} without its prefix, such as
   * THREAD_BUSY. It is empty if the server gave none or did not answer.
   */
  public String reason() {
    return details.reason();
  }

  /** Returns the facts that belong to the reason, such as run_id. */
  public Map<String, String> metadata() {
    return details.metadata();
  }

  /** Returns the invalid fields of a request that failed with INVALID_REQUEST. */
  public List<Violation> violations() {
    return details.violations();
  }

  /** Returns the server's id of the call, which its log names too. It is empty if none answered. */
  public String requestId() {
    return details.requestId();
  }

  /** Returns the server's advice how long to wait before a retry, if it gave any. */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(details.retryAfter());
  }

  /**
   * Returns the failure of a call that the caller has not cancelled: if the transport shed it, or a
   * server that stops ended it, it is UNAVAILABLE.
   */
  RunException uncancelled() {
    if (code != Status.Code.CANCELLED || !fromTransport() || !reason().isEmpty()) {
      return this;
    }
    String text = status().getDescription();
    Status lost = Status.UNAVAILABLE.withDescription(text).withCause(getCause());
    return new Unavailable(lost.asException(), details);
  }

  /** Returns the status of the call. */
  Status status() {
    return ((StatusException) getCause()).getStatus();
  }

  /** Whether the same call may succeed soon: no server answered, or it asks for a pause. */
  boolean isWorthRetry() {
    return this instanceof Unavailable || isOverload();
  }

  /** Whether a server refused the call because of its load, and asks for a pause. */
  boolean isOverload() {
    return reason().equals("OVERLOADED") && retryAfter().isPresent();
  }

  /** Whether the failure says nothing about the run: the same report may succeed soon. */
  boolean isTransient() {
    return switch (code) {
      case UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNKNOWN, INTERNAL -> true;
      default -> false;
    };
  }

  /** Whether the server refused the credentials. It has then done nothing. */
  boolean isUnauthenticated() {
    return code == Status.Code.UNAUTHENTICATED;
  }

  /**
   * Whether a report of an execution may succeed later: the failure is transient, or the credential
   * has expired and there will be another one.
   */
  boolean isOutage() {
    return isTransient() || isUnauthenticated();
  }

  /** Whether the run ended, was removed, or is held by another executor. */
  boolean endsExecution() {
    return this instanceof NotFound || this instanceof FailedPrecondition;
  }

  /**
   * Whether no server sent this failure: the connection failed, or the deadline passed without an
   * answer.
   */
  public boolean fromTransport() {
    return details.fromTransport();
  }

  /**
   * An invalid field of a request.
   *
   * @param field the path of the field in the request, such as spec.thread_id
   * @param description the error, as a text for people
   */
  public record Violation(String field, String description) implements Serializable {}

  /** The run does not exist or belongs to another owner. */
  public static final class NotFound extends RunException {
    private static final long serialVersionUID = 1L;

    private NotFound(StatusException cause, ErrorDetails details) {
      super(cause, details);
    }
  }

  /** The thread has an active run. The metadata has its id as run_id. */
  public static final class ThreadBusy extends RunException {
    private static final long serialVersionUID = 1L;

    private ThreadBusy(StatusException cause, ErrorDetails details) {
      super(cause, details);
    }
  }

  /**
   * The run's state does not allow the call: INVALID_TRANSITION if its status does not allow the
   * change, NOT_HOLDER if another executor holds the run.
   */
  public static final class FailedPrecondition extends RunException {
    private static final long serialVersionUID = 1L;

    private FailedPrecondition(StatusException cause, ErrorDetails details) {
      super(cause, details);
    }
  }

  /** The request is invalid. {@link #violations} lists every invalid field. */
  public static final class InvalidArgument extends RunException {
    private static final long serialVersionUID = 1L;

    private InvalidArgument(StatusException cause, ErrorDetails details) {
      super(cause, details);
    }
  }

  /**
   * No server answers, the server is stopping, or it cannot reach its store. With a {@link
   * #reason}, the change did not happen. Without one, the connection was lost and the change may
   * have happened.
   */
  public static final class Unavailable extends RunException {
    private static final long serialVersionUID = 1L;

    private Unavailable(StatusException cause, ErrorDetails details) {
      super(cause, details);
    }
  }
}
