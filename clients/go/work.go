package runsvc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// Causes for which a function that executes a run is told to stop; see context.Cause.
var (
	// ErrCancelled: the run was cancelled, or displaced by a newer one.
	ErrCancelled = errors.New("the run was cancelled")
	// ErrLost: the run ended otherwise, was removed, or is another worker's now.
	ErrLost = errors.New("the run is no longer this worker's")
)

// Worker is who executes a run, and how often it promises to say that it is alive.
type Worker struct {
	// ID makes the worker the run's holder. Empty: anyone may report.
	ID string
	// Lease ends the run, as ERROR, when the worker was not heard of for so long. Zero: never. Needs an ID.
	Lease time.Duration
}

// Execute does a run's work. It stops when ctx is done; its cause is ErrCancelled or ErrLost, or that of Work's ctx. The progress
// that it returns, which may be nil, is the run's final usage, also of a cancelled run. An error makes the run ERROR.
type Execute func(ctx context.Context, execution *Execution) (*runsvcv1.Progress, error)

// Execution is a run at work.
type Execution struct {
	// Run is the run as it was started.
	Run *runsvcv1.Run

	client *Client
	worker Worker

	reporting sync.Mutex
	sequence  uint64
}

// Work executes a run: starts it, keeps its lease, tells the function to stop when the run is cancelled, and reports how it ended.
// It returns the run as reported, SUCCESS, ERROR or INTERRUPTED. ErrLost when the run ended by other hands; otherwise an error
// is that of the start or of the report.
func (c *Client) Work(ctx context.Context, runID string, worker Worker, execute Execute) (*runsvcv1.Run, error) {
	execution := &Execution{client: c, worker: worker}
	if err := execution.start(ctx, runID); err != nil {
		return nil, err
	}
	progress, stopped, failure := execution.perform(ctx, execute)
	if stopped == ErrLost {
		return nil, fmt.Errorf("run %s: %w", runID, ErrLost)
	}
	// The report is due also where Work's own ctx has ended; the run would stay active otherwise.
	ctx = context.WithoutCancel(ctx)
	if stopped == ErrCancelled {
		return execution.acknowledge(ctx, progress)
	}
	return execution.complete(ctx, progress, failure)
}

// Report sends progress, in the order of the calls. False: it was not applied, for the run is over.
func (e *Execution) Report(ctx context.Context, progress *runsvcv1.Progress) (bool, error) {
	e.reporting.Lock()
	defer e.reporting.Unlock()
	e.sequence++
	answer, err := e.client.UpdateProgress(ctx, &runsvcv1.UpdateProgressRequest{
		RunId: e.Run.GetRunId(), WorkerId: e.workerID(), Progress: progress, Sequence: &e.sequence,
	})
	return answer.GetApplied(), err
}

func (e *Execution) workerID() *string {
	if e.worker.ID == "" {
		return nil
	}
	return &e.worker.ID
}

func (e *Execution) start(ctx context.Context, runID string) error {
	request := &runsvcv1.SetStatusRequest{
		RunId: runID, Status: runsvcv1.RunStatus_RUN_STATUS_RUNNING, WorkerId: e.workerID(),
	}
	if e.worker.Lease > 0 {
		request.LeaseTtl = durationpb.New(e.worker.Lease)
	}
	answer, err := repeated(ctx, e.worker, request, e.client.SetStatus)
	e.Run = answer.GetRun()
	return err
}

// perform runs the function beside what may stop it, and returns what it did and which of ErrCancelled and ErrLost stopped it.
func (e *Execution) perform(ctx context.Context, execute Execute) (progress *runsvcv1.Progress, stopped, failure error) {
	executing, stop := context.WithCancelCause(ctx)
	supporting, end := context.WithCancel(ctx)
	var support sync.WaitGroup
	support.Go(func() { e.watch(supporting, stop) })
	if e.worker.Lease > 0 {
		support.Go(func() { e.keepLease(supporting, stop) })
	}
	// In this order also when the function panics.
	defer support.Wait()
	defer end()
	defer stop(nil)
	progress, failure = execute(executing, e)
	if cause := context.Cause(executing); cause == ErrCancelled || cause == ErrLost {
		stopped = cause
	}
	return progress, stopped, failure
}

// watch stops the function when others end the run. Without a server it goes on: that is for the lease to judge.
func (e *Execution) watch(ctx context.Context, stop context.CancelCauseFunc) {
	request := Run(e.Run.GetRunId())
	request.AfterRevision = proto.Uint64(e.Run.GetRevision())
	for event, err := range e.client.Watch(ctx, request, WithOutage(forever)) {
		switch {
		case err != nil && ctx.Err() != nil:
		case err != nil || event.GetEvent() == runsvcv1.StatusEvent_STATUS_EVENT_DELETED:
			stop(ErrLost)
		default:
			e.judge(event.GetRun(), stop)
		}
	}
}

func (e *Execution) judge(run *runsvcv1.Run, stop context.CancelCauseFunc) {
	switch run.GetStatus() {
	case runsvcv1.RunStatus_RUN_STATUS_PENDING, runsvcv1.RunStatus_RUN_STATUS_RUNNING:
	case runsvcv1.RunStatus_RUN_STATUS_INTERRUPTED:
		stop(ErrCancelled)
	default:
		stop(ErrLost)
	}
}

// keepLease sends heartbeats, and stops the function when the lease has run out without an answer.
func (e *Execution) keepLease(ctx context.Context, stop context.CancelCauseFunc) {
	ticks := time.NewTicker(e.worker.Lease / 3)
	defer ticks.Stop()
	for renewed := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		sent := time.Now()
		beat, cancel := context.WithTimeout(ctx, e.worker.Lease/3)
		answer, err := e.client.Heartbeat(beat, &runsvcv1.HeartbeatRequest{RunId: e.Run.GetRunId(), WorkerId: e.worker.ID})
		cancel()
		switch {
		case err == nil:
			renewed = sent
			e.judge(answer.GetRun(), stop)
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrFailedPrecondition), time.Since(renewed) > e.worker.Lease:
			stop(ErrLost)
			return
		}
	}
}

func (e *Execution) acknowledge(ctx context.Context, progress *runsvcv1.Progress) (*runsvcv1.Run, error) {
	request := &runsvcv1.AcknowledgeCancelRequest{RunId: e.Run.GetRunId(), WorkerId: e.workerID(), Progress: progress}
	answer, err := repeated(ctx, e.worker, request, e.client.AcknowledgeCancel)
	return answer.GetRun(), err
}

func (e *Execution) complete(ctx context.Context, progress *runsvcv1.Progress, failure error) (*runsvcv1.Run, error) {
	request := &runsvcv1.CompleteRequest{
		RunId: e.Run.GetRunId(), Status: runsvcv1.RunStatus_RUN_STATUS_SUCCESS, WorkerId: e.workerID(), Progress: progress,
	}
	if failure != nil {
		request.Status, request.Error = runsvcv1.RunStatus_RUN_STATUS_ERROR, proto.String(errorText(failure))
	}
	answer, err := repeated(ctx, e.worker, request, e.client.Complete)
	// The cancel came between the function's end and the report.
	if refusal, ok := err.(*Error); ok && refusal.Reason == "INVALID_TRANSITION" && refusal.Metadata["from"] == "INTERRUPTED" {
		return e.acknowledge(ctx, progress)
	}
	return answer.GetRun(), err
}

// errorText is what the server takes as a run's error: a report must not fail for the length or the bytes of a text.
func errorText(failure error) string {
	text := failure.Error()
	return strings.ToValidUTF8(text[:min(len(text), longestError)], "")
}

const longestError = 16 << 10

const forever = time.Duration(1<<63 - 1)

// repeated sends a report, which is idempotent, until it is answered by more than UNAVAILABLE, or the lease is over.
func repeated[Q, A any](ctx context.Context, worker Worker, request Q, send func(context.Context, Q, ...grpc.CallOption) (A, error)) (A, error) {
	patience := worker.Lease
	if patience == 0 {
		patience = DefaultOutage
	}
	var waits waits
	for began := time.Now(); ; {
		answer, err := send(ctx, request)
		if !errors.Is(err, ErrUnavailable) || time.Since(began) >= patience || waits.next(ctx, err) != nil {
			return answer, err
		}
	}
}
