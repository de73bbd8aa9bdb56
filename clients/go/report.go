package runsvc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// maxUsage is the largest usage that fits into a report of the end, in bytes: the server accepts messages of 4 MiB.
const maxUsage = 4<<20 - 32<<10

// repeat sends a report of an execution until it succeeds, fails with a lasting error, or retryTime is over. Reports
// are idempotent.
func repeat[Q, A any](
	ctx context.Context, retryTime time.Duration, request Q,
	send func(context.Context, Q, ...grpc.CallOption) (A, error),
) (A, error) {
	return repeatWhile(ctx, isOutage, retryTime, request, send)
}

func repeatWhile[Q, A any](
	ctx context.Context, isWorthRetry func(error) bool, retryTime time.Duration, request Q,
	send func(context.Context, Q, ...grpc.CallOption) (A, error),
) (A, error) {
	var pauses backoffPauses
	for began := time.Now(); ; {
		answer, err := send(ctx, request)
		if !isWorthRetry(err) {
			return answer, err
		}
		limited, cancel := context.WithTimeout(ctx, retryTime-time.Since(began))
		over := pauses.wait(limited, err)
		cancel()
		if over != nil {
			return answer, err
		}
	}
}

// retryTime returns how long the executor waits for a server after the start.
func (e *Execution) retryTime() time.Duration { return max(e.lease, DefaultOutage) }

// reportEnd reports how the run ended. The cause is the reason for which the handler's context ended, or nil.
func (e *Execution) reportEnd(
	ctx context.Context, cause error, progress *runsvcv1.Progress, failure error,
) (*runsvcv1.Run, error) {
	usage, unsendable := e.finalUsage(progress)
	if failure == nil {
		failure = unsendable
	}
	retryTime := e.retryTime()
	switch {
	case cause == ErrLost:
		return nil, fmt.Errorf("run %s: %w", e.Run.GetRunId(), ErrLost)
	case cause == ErrCancelled:
		return e.acknowledge(ctx, retryTime, usage)
	case cause == ErrFenced && failure == nil:
		// The work was stopped before its end.
		failure = ErrFenced
	case cause == ErrReleased:
		return e.release(ctx, usage)
	case cause != nil && cause != ErrFenced:
		// The caller ended the context, probably to stop the program: do not keep it waiting.
		retryTime = e.client.timeout
	}
	return e.complete(ctx, retryTime, usage, failure)
}

func (e *Execution) acknowledge(
	ctx context.Context, retryTime time.Duration, progress *runsvcv1.Progress,
) (*runsvcv1.Run, error) {
	request := &runsvcv1.AcknowledgeCancelRequest{
		RunId: e.Run.GetRunId(), WorkerId: e.workerID(), Attempt: e.attempt(),
		Progress: progress, StopReason: e.set().stopReason,
	}
	return sendEnd(ctx, retryTime, request, e.client.AcknowledgeCancel, nil)
}

func (e *Execution) complete(
	ctx context.Context, retryTime time.Duration, progress *runsvcv1.Progress, failure error,
) (*runsvcv1.Run, error) {
	request := &runsvcv1.CompleteRequest{
		RunId:      e.Run.GetRunId(),
		Status:     runsvcv1.RunStatus_RUN_STATUS_SUCCESS,
		WorkerId:   e.workerID(),
		Attempt:    e.attempt(),
		Progress:   progress,
		StopReason: e.set().stopReason,
	}
	var unsent error
	if failure != nil {
		request.Status, request.Error = runsvcv1.RunStatus_RUN_STATUS_ERROR, proto.String(errorText(failure))
		request.Retryable = isRetryable(failure)
	} else if request.Result = e.set().result; request.Result != nil {
		unsent = unsendable(request.Result, progress)
	}
	done, err := sendEnd(ctx, retryTime, request, e.client.Complete, unsent)
	// The run was cancelled after the handler had returned.
	refusal, ok := err.(*Error)
	if ok && refusal.Reason == "INVALID_TRANSITION" && refusal.Metadata["from"] == "INTERRUPTED" {
		return e.acknowledge(ctx, retryTime, progress)
	}
	return done, err
}

// sendEnd repeats a report of the end. If the server rejects it, or rejected is such an error, sendEnd reports the end
// without usage, result and stop reason, and returns the rejection beside the run: the run must end in any case.
func sendEnd[Q proto.Message, A interface{ GetRun() *runsvcv1.Run }](
	ctx context.Context, retryTime time.Duration, request Q,
	send func(context.Context, Q, ...grpc.CallOption) (A, error), rejected error,
) (*runsvcv1.Run, error) {
	if rejected == nil {
		var answer A
		answer, rejected = repeat(ctx, retryTime, request, send)
		if !errors.Is(rejected, ErrInvalidArgument) {
			return answer.GetRun(), rejected
		}
	}
	if !dropContents(request) {
		return nil, rejected
	}
	answer, err := repeat(ctx, retryTime, request, send)
	if err != nil {
		return nil, err
	}
	return answer.GetRun(), rejected
}

// release gives the run back. The usage so far counts, although the attempt does not.
func (e *Execution) release(ctx context.Context, usage *runsvcv1.Progress) (*runsvcv1.Run, error) {
	if usage != nil {
		e.sequence++
		_, _ = e.client.UpdateProgress(ctx, &runsvcv1.UpdateProgressRequest{
			RunId: e.Run.GetRunId(), WorkerId: e.workerID(), Attempt: e.attempt(),
			Progress: usage, Sequence: &e.sequence,
		})
	}
	return e.client.release(ctx, e.Run, e.options.WorkerID)
}

// reportLostUsage sends the usage of a lost run once. It returns the given error, whether or not the server accepts
// the usage.
func (e *Execution) reportLostUsage(ctx context.Context, lost error) error {
	if usage, _ := e.finalUsage(nil); usage != nil {
		_, _ = e.client.UpdateProgress(ctx, &runsvcv1.UpdateProgressRequest{
			RunId: e.Run.GetRunId(), WorkerId: e.workerID(), Attempt: e.attempt(), Progress: usage, Final: true,
		})
	}
	return lost
}
