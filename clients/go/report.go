package runsvc

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// errorText is what the server takes as a run's error: a report must not fail for the length or the bytes of a text.
func errorText(failure error) string {
	text := failure.Error()
	return strings.ToValidUTF8(text[:min(len(text), longestError)], "")
}

const longestError = 16 << 10

// repeated sends a report, which is idempotent, until it is answered by more than trouble that passes, or patience is over.
func repeated[Q, A any](ctx context.Context, patience time.Duration, request Q, send func(context.Context, Q, ...grpc.CallOption) (A, error)) (A, error) {
	var waits waits
	for began := time.Now(); ; {
		answer, err := send(ctx, request)
		if !passing(err) || time.Since(began) >= patience || waits.next(ctx, err) != nil {
			return answer, err
		}
	}
}

// passing tells whether an error is the server's trouble, or the way's, rather than an answer: the same report may be taken in a moment.
func passing(err error) bool {
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

// losing tells whether an error says that the run ended, was removed, or is another worker's.
func losing(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrFailedPrecondition)
}
