package runsvc

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// maxErrorText is the longest error text that the server accepts, in bytes.
const maxErrorText = 16 << 10

// errorText returns the error's message in a form that the server accepts: a report must not fail because of its text.
func errorText(failure error) string {
	text := failure.Error()
	return strings.ToValidUTF8(text[:min(len(text), maxErrorText)], "")
}

// repeat sends a report until it succeeds, fails with a lasting error, or retryTime is over. Reports are idempotent.
func repeat[Q, A any](
	ctx context.Context, retryTime time.Duration, request Q,
	send func(context.Context, Q, ...grpc.CallOption) (A, error),
) (A, error) {
	var pauses backoffPauses
	for began := time.Now(); ; {
		answer, err := send(ctx, request)
		if !isTransient(err) || time.Since(began) >= retryTime || pauses.wait(ctx, err) != nil {
			return answer, err
		}
	}
}

// reportEnd reports how the run ended. The cause is the reason for which the handler's context ended, or nil.
func (e *Execution) reportEnd(
	ctx context.Context, cause error, progress *runsvcv1.Progress, failure error,
) (*runsvcv1.Run, error) {
	usage, unsendable := e.finalUsage(progress)
	if failure == nil {
		failure = unsendable
	}
	retryTime := max(e.lease, DefaultOutage)
	switch {
	case cause == ErrLost:
		return nil, fmt.Errorf("run %s: %w", e.Run.GetRunId(), ErrLost)
	case cause == ErrCancelled:
		return e.acknowledge(ctx, retryTime, usage)
	case cause != nil:
		// The caller ended the context, probably to stop the program: do not keep it waiting.
		retryTime = e.client.timeout
	}
	return e.complete(ctx, retryTime, usage, failure)
}

func (e *Execution) acknowledge(
	ctx context.Context, retryTime time.Duration, progress *runsvcv1.Progress,
) (*runsvcv1.Run, error) {
	request := &runsvcv1.AcknowledgeCancelRequest{
		RunId: e.Run.GetRunId(), WorkerId: e.workerID(), Progress: progress,
	}
	answer, err := repeat(ctx, retryTime, request, e.client.AcknowledgeCancel)
	return answer.GetRun(), err
}

func (e *Execution) complete(
	ctx context.Context, retryTime time.Duration, progress *runsvcv1.Progress, failure error,
) (*runsvcv1.Run, error) {
	request := &runsvcv1.CompleteRequest{
		RunId:    e.Run.GetRunId(),
		Status:   runsvcv1.RunStatus_RUN_STATUS_SUCCESS,
		WorkerId: e.workerID(),
		Progress: progress,
	}
	if failure != nil {
		request.Status, request.Error = runsvcv1.RunStatus_RUN_STATUS_ERROR, proto.String(errorText(failure))
	}
	answer, err := repeat(ctx, retryTime, request, e.client.Complete)
	// The run was cancelled after the handler had returned.
	refusal, ok := err.(*Error)
	if ok && refusal.Reason == "INVALID_TRANSITION" && refusal.Metadata["from"] == "INTERRUPTED" {
		return e.acknowledge(ctx, retryTime, progress)
	}
	return answer.GetRun(), err
}

// reportLostUsage sends the usage of a lost run once. It returns the given error, whether or not the server accepts
// the usage.
func (e *Execution) reportLostUsage(ctx context.Context, lost error) error {
	if usage, _ := e.finalUsage(nil); usage != nil {
		_, _ = e.client.UpdateProgress(ctx, &runsvcv1.UpdateProgressRequest{
			RunId: e.Run.GetRunId(), WorkerId: e.workerID(), Progress: usage, Final: true,
		})
	}
	return lost
}
