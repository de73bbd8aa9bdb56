package runsvc

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// maxErrorText is the longest error text that is sent, in bytes. The server keeps 16 KiB of it and marks the cut.
	maxErrorText = 64 << 10
	// maxTextTime limits the time in which a failure returns its text.
	maxTextTime = time.Second
)

// errorText returns the failure's text in a form that the server accepts: a report must not fail because of its text.
// The failure's type stands for a text that is empty, or that the Error method does not return.
func errorText(failure error) string {
	if marked, isMarked := failure.(retryableError); isMarked {
		failure = marked.error
	}
	substitute := fmt.Sprintf("%T, an error without text", failure)
	if panicked, isPanic := failure.(panicError); isPanic {
		substitute = fmt.Sprintf("panic: %T, a value without text", panicked.value)
	}
	// Error may panic, as on a nil pointer, end its goroutine, or block.
	returned := make(chan string, 1)
	go func() {
		text := ""
		defer func() {
			_ = recover()
			returned <- text
		}()
		text = failure.Error()
	}()
	text := ""
	select {
	case text = <-returned:
	case <-time.After(maxTextTime):
	}
	text = strings.ToValidUTF8(text[:min(len(text), maxErrorText)], "")
	if text == "" {
		return substitute
	}
	return text
}

// panicError is the failure of a handler that panics. It formats the value only when its text is read.
type panicError struct{ value any }

func (e panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// Retryable marks an error of a handler: if the run has attempts left, it becomes PENDING again for another attempt
// instead of ending as ERROR.
func Retryable(failure error) error {
	if failure == nil {
		return nil
	}
	return retryableError{failure}
}

type retryableError struct{ error }

func (e retryableError) Unwrap() error { return e.error }

// isRetryable reports whether an error is or wraps one that Retryable has marked.
func isRetryable(failure error) (is bool) {
	// Unwrap may panic, as Error may.
	defer func() { _ = recover() }()
	var marked retryableError
	return errors.As(failure, &marked)
}
