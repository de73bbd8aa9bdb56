package io.github.runsvc.client;

import io.grpc.Status;
import io.grpc.StatusException;
import java.io.Serializable;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Why a call failed. A subclass where callers often go on from there; {@link #code} and {@link
 * #reason} tell all others apart.
 */
public class RunException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final Status.Code code;
  private final ErrorDetails details;

  private RunException(StatusException cause, ErrorDetails details) {
    super(described(cause.getStatus(), details.reason()), cause);
    this.code = cause.getStatus().getCode();
    this.details = details;
  }

  /** What a call's status and trailers tell, as the exception of that kind; for calls by a stub. */
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

  private static String described(Status status, String reason) {
    String what = status.getCode() + (reason.isEmpty() ? "" : " " + reason);
    return status.getDescription() == null ? what : what + ": " + status.getDescription();
  }

  /** The canonical code. */
  public Status.Code code() {
    return code;
  }

  /**
   * Name of an {@link io.github.runsvc.v1.ErrorReason} without its prefix, such as THREAD_BUSY.
   * Empty: the server did not say, or did not answer.
   */
  public String reason() {
    return details.reason();
  }

  /** The facts of the reason, such as run_id. */
  public Map<String, String> metadata() {
    return details.metadata();
  }

  /** The fields at fault, of an INVALID_REQUEST. */
  public List<Violation> violations() {
    return details.violations();
  }

  /** After how long trying again is worth it, if the server said. */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(details.retryAfter());
  }

  /** It says nothing about the run: the same report may be taken in a moment. */
  boolean isPassing() {
    return switch (code) {
      case UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNKNOWN, INTERNAL -> true;
      default -> false;
    };
  }

  /** It says that the run ended, was removed, or is another worker's. */
  boolean isLosing() {
    return this instanceof NotFound || this instanceof FailedPrecondition;
  }

  /** No server said so: the connection was lost or never made, or the time was over. */
  public boolean fromTransport() {
    return details.fromTransport();
  }

  /**
   * One field of a request that is at fault.
   *
   * @param field its path in the request, such as spec.thread_id
   * @param description what is wrong with it, for people
   */
  public record Violation(String field, String description) implements Serializable {}

  /** No such run, or not the caller's. */
  public static final class NotFound extends RunException {
    private static final long serialVersionUID = 1L;

    private NotFound(StatusException cause, ErrorDetails details) {
      super(cause, details);
    }
  }

  /** The thread has an active run; the metadata names it as run_id. */
  public static final class ThreadBusy extends RunException {
    private static final long serialVersionUID = 1L;

    private ThreadBusy(StatusException cause, ErrorDetails details) {
      super(cause, details);
    }
  }

  /**
   * Refused as things stand: INVALID_TRANSITION (the run has ended), or NOT_HOLDER (another worker
   * has it).
   */
  public static final class FailedPrecondition extends RunException {
    private static final long serialVersionUID = 1L;

    private FailedPrecondition(StatusException cause, ErrorDetails details) {
      super(cause, details);
    }
  }

  /** The request is at fault; {@link #violations} lists every field. */
  public static final class InvalidArgument extends RunException {
    private static final long serialVersionUID = 1L;

    private InvalidArgument(StatusException cause, ErrorDetails details) {
      super(cause, details);
    }
  }

  /**
   * No server, one that stops, or one that cannot reach its store. With a {@link #reason} the
   * change did not happen; without one the connection was lost, and it may have happened.
   */
  public static final class Unavailable extends RunException {
    private static final long serialVersionUID = 1L;

    private Unavailable(StatusException cause, ErrorDetails details) {
      super(cause, details);
    }
  }
}
