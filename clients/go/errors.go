package runsvc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Kinds of errors, for errors.Is.
var (
	// ErrNotFound: no such run, or it is another owner's.
	ErrNotFound = errors.New("not found")
	// ErrThreadBusy: the thread has an active run, which the Metadata name.
	ErrThreadBusy = errors.New("thread busy")
	// ErrFailedPrecondition: the run is in no state for it, or another worker holds it.
	ErrFailedPrecondition = errors.New("failed precondition")
	// ErrInvalidArgument: the request is at fault; the Violations say where.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrUnavailable: no server, or one that cannot take it now.
	ErrUnavailable = errors.New("unavailable")
)

const domain = "runsvc"

// Error is what every failed call and watch returns: use errors.As for its facts, errors.Is for its kind.
type Error struct {
	Code codes.Code
	// Reason is the name of an ErrorReason without its prefix, such as THREAD_BUSY. Empty: the server did not say, or did not answer.
	Reason string
	// Message is for people.
	Message string
	// Metadata are the facts of the reason, such as run_id.
	Metadata map[string]string
	// Violations are the fields at fault, of an INVALID_REQUEST.
	Violations []Violation
	// RetryAfter is when trying again is worth it. Zero: the server did not say.
	RetryAfter time.Duration

	status *status.Status
	// A server of ours said so, as far as is known: watches look, for some transports make INTERNAL of a lost connection.
	isOurs bool
}

// Violation is one field of a request that is at fault, and what is wrong with it.
type Violation struct{ Field, Description string }

// Error says code, reason and message.
func (e *Error) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("runsvc: %s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("runsvc: %s: %s", e.Reason, e.Message)
}

// GRPCStatus makes status.FromError and status.Code work.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Is tells whether the error is of a kind, or comes from its caller's context.
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

// translated is what gRPC returned, as ours. An error that is neither a status nor of a context stays as it is: io.EOF, above all.
func translated(err error) error {
	if err == nil {
		return nil
	}
	if _, ours := err.(*Error); ours {
		return err
	}
	told, isStatus := status.FromError(err)
	if !isStatus {
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		told = status.FromContextError(err)
	}
	translated := &Error{Code: told.Code(), Message: told.Message(), status: told}
	for _, detail := range told.Details() {
		translated.take(detail)
	}
	return translated
}

func (e *Error) take(detail any) {
	switch detail := detail.(type) {
	case *errdetails.ErrorInfo:
		if detail.GetDomain() == domain {
			e.Reason, e.Metadata = detail.GetReason(), detail.GetMetadata()
		}
	case *errdetails.BadRequest:
		for _, fault := range detail.GetFieldViolations() {
			e.Violations = append(e.Violations, Violation{fault.GetField(), fault.GetDescription()})
		}
	case *errdetails.RetryInfo:
		e.RetryAfter = detail.GetRetryDelay().AsDuration()
	}
}
