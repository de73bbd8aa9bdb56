package runsvc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Kinds of errors, for use with errors.Is.
var (
	// ErrNotFound means that the run does not exist or belongs to another owner.
	ErrNotFound = errors.New("not found")
	// ErrThreadBusy means that the thread has an active run. Metadata["run_id"] names it.
	ErrThreadBusy = errors.New("thread busy")
	// ErrFailedPrecondition means that the run's status does not allow the call, or that another executor holds the
	// run.
	ErrFailedPrecondition = errors.New("failed precondition")
	// ErrInvalidArgument means that the request is invalid. Violations lists the fields.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrUnavailable means that no server answers, or that the server cannot take the call now.
	ErrUnavailable = errors.New("unavailable")
)

// errorDomain is the domain of the ErrorInfo that a runsvc server sends.
const errorDomain = "runsvc"

// Error is the error of every failed call and watch. Use errors.As for its fields and errors.Is for its kind.
type Error struct {
	Code codes.Code
	// Reason is the name of an ErrorReason without its prefix, such as THREAD_BUSY. It is empty if the server gave
	// none or did not answer.
	Reason string
	// Message is a text for people. Programs should branch on Reason and Code.
	Message string
	// Metadata holds the facts that belong to Reason, such as run_id.
	Metadata map[string]string
	// Violations lists the invalid fields of a request that failed with INVALID_REQUEST.
	Violations []Violation
	// RetryAfter is the server's advice how long to wait before a retry. It is zero if the server gave none.
	RetryAfter time.Duration
	// RequestID is the server's id of the call, which its log names too. It is empty if no server answered.
	RequestID string

	status *status.Status
	// The error for which the call was not sent.
	cause error
	// Some transports report a lost connection as INTERNAL or CANCELLED. A watch resumes after such an error, unless a server sent
	// it.
	fromServer bool
}

// Violation is an invalid field of a request. Description is a text for people.
type Violation struct{ Field, Description string }

// Error returns the reason, or the code if there is no reason, the message and the request id.
func (e *Error) Error() string {
	text := "runsvc: " + e.Reason
	if e.Reason == "" {
		text += e.Code.String()
	}
	text += ": " + e.Message
	if e.RequestID != "" {
		text += fmt.Sprintf(" (request id %s)", e.RequestID)
	}
	return text
}

// Unwrap returns the error of the token's source, for a call that was not sent because it had no token.
func (e *Error) Unwrap() error { return e.cause }

// GRPCStatus returns the status that the error was made from, for status.FromError and status.Code.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Is reports whether the error is of the given kind. It also matches context.DeadlineExceeded and context.Canceled.
func (e *Error) Is(kind error) bool {
	switch kind {
	case ErrThreadBusy:
		return e.Reason == "THREAD_BUSY"
	case ErrNotFound:
		return e.Code == codes.NotFound
	case ErrFailedPrecondition:
		return e.Code == codes.FailedPrecondition
	case ErrInvalidArgument:
		return e.Code == codes.InvalidArgument
	case ErrUnavailable:
		return e.Code == codes.Unavailable
	case context.DeadlineExceeded:
		return e.Code == codes.DeadlineExceeded
	case context.Canceled:
		return e.Code == codes.Canceled
	}
	return false
}

// addTrailer takes the request id. It shows, as a reason does, that a runsvc server sent the error.
func (e *Error) addTrailer(trailer metadata.MD) {
	if ids := trailer.Get(requestIDHeader); len(ids) > 0 {
		e.RequestID = ids[0]
	}
	e.fromServer = e.Reason != "" || e.RequestID != ""
}

// uncancelled returns the error of a call that the caller has not cancelled. If the transport has, it is Unavailable.
func uncancelled(err error) error {
	failure, ok := err.(*Error)
	if !ok || failure.Code != codes.Canceled || failure.fromServer {
		return err
	}
	lost := *failure
	lost.Code = codes.Unavailable
	lost.status = status.New(codes.Unavailable, failure.Message)
	return &lost
}

// isOverload reports whether a server refused the call because of its load, and asks for a pause.
func isOverload(err error) bool {
	var failure *Error
	return errors.As(err, &failure) && failure.Reason == "OVERLOADED" && failure.RetryAfter > 0
}

// translate returns gRPC's error as an *Error. Errors that are neither a status nor from a context, such as io.EOF,
// stay as they are.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if _, translated := err.(*Error); translated {
		return err
	}
	received, isStatus := status.FromError(err)
	if !isStatus {
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		received = status.FromContextError(err)
	}
	translated := &Error{Code: received.Code(), Message: received.Message(), status: received}
	for _, detail := range received.Details() {
		translated.add(detail)
	}
	return translated
}

func (e *Error) add(detail any) {
	switch detail := detail.(type) {
	case *errdetails.ErrorInfo:
		if detail.GetDomain() == errorDomain {
			e.Reason, e.Metadata = detail.GetReason(), detail.GetMetadata()
		}
	case *errdetails.BadRequest:
		for _, violation := range detail.GetFieldViolations() {
			e.Violations = append(e.Violations, Violation{violation.GetField(), violation.GetDescription()})
		}
	case *errdetails.RetryInfo:
		e.RetryAfter = detail.GetRetryDelay().AsDuration()
	}
}

// isTransient reports whether the server, or the way to it, failed without an answer about the run. The same report
// may succeed soon.
func isTransient(err error) bool {
	var failure *Error
	if !errors.As(err, &failure) {
		return false
	}
	switch failure.Code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Unknown, codes.Internal:
		return true
	}
	return false
}

// isOutage reports whether a report of an execution may succeed later: its failure is transient, or the credential has
// expired and there will be another one.
func isOutage(err error) bool { return isTransient(err) || isUnauthenticated(err) }

// endsExecution reports whether an error means that the run ended, was removed, or is held by another executor.
func endsExecution(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrFailedPrecondition)
}

// isConnectionLoss reports whether an error means that the server or the way to it was lost, and no server sent the
// error, or that the server was too busy for a watch.
func isConnectionLoss(err error) bool {
	var failure *Error
	if !errors.As(err, &failure) {
		return false
	}
	transport := failure.Code == codes.Internal || failure.Code == codes.Canceled
	return failure.Code == codes.Unavailable || transport && !failure.fromServer || isOverload(err)
}
