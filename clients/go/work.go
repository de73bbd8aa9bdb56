package runsvc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

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
	// Lease ends the run, as ERROR, when the worker was not heard of for so long. Zero: as promised when the run was created, if
	// so. Needs an ID.
	Lease time.Duration
}

// Execute does a run's work. It stops when ctx is done; its cause is ErrCancelled or ErrLost, or that of Work's ctx. The progress
// that it returns, which may be nil, is the run's final usage beyond what it reported, also of a cancelled run. An error makes the
// run ERROR.
type Execute func(ctx context.Context, execution *Execution) (*runsvcv1.Progress, error)

// Execution is a run at work.
type Execution struct {
	// Run is the run as it was started.
	Run *runsvcv1.Run

	client *Client
	worker Worker
	// Within which the server wants a sign of life. Zero: none was promised.
	lease time.Duration
	stop  context.CancelCauseFunc

	reporting sync.Mutex
	sequence  uint64
	// Usage so far.
	progress *runsvcv1.Progress
}

// Work executes a run: starts it, keeps its lease, tells the function to stop when the run is cancelled, and reports how it ended.
// It returns the run as reported, SUCCESS, ERROR or INTERRUPTED. ErrLost when the run ended by other hands; otherwise an error
// is that of the start or of the report. A function that panics is reported as ERROR, and the panic goes on.
//
// While there is no server the work goes on, however long, for time in which none serves counts for no lease: only an answer stops
// it. The report of the end is repeated for as long as the lease, but at least a minute; when ctx is done, for as long as a call
// may take.
func (c *Client) Work(ctx context.Context, runID string, worker Worker, execute Execute) (*runsvcv1.Run, error) {
	// Its sequence is above those of whoever executed the run before, under the same name.
	execution := &Execution{client: c, worker: worker, sequence: uint64(time.Now().UnixNano()), progress: &runsvcv1.Progress{}}
	if err := execution.start(ctx, runID); err != nil {
		return nil, err
	}
	executing, stop := context.WithCancelCause(ctx)
	execution.stop = stop
	defer stop(nil)
	// The report is due also where Work's own ctx has ended, and so is the lease until then; the run would stay active otherwise.
	supported := context.WithoutCancel(ctx)
	defer execution.support(supported)()
	progress, failure := execution.perform(executing, execute)
	cause := context.Cause(executing)
	stop(nil)
	done, err := execution.report(supported, cause, progress, failure)
	if losing(err) {
		err = fmt.Errorf("run %s: %w: %w", runID, ErrLost, err)
	}
	if errors.Is(err, ErrLost) {
		return nil, execution.leaveUsage(supported, err)
	}
	return done, err
}

// perform calls the function. If it panics, or ends its goroutine, so does Work, once this is reported as an ERROR.
func (e *Execution) perform(ctx context.Context, execute Execute) (*runsvcv1.Progress, error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		failure := errGone
		panicked := recover()
		if panicked != nil {
			failure = fmt.Errorf("panic: %v", panicked)
		}
		// Whoever ends the program is in a hurry.
		hurried, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.client.timeout)
		defer cancel()
		_, _ = e.report(hurried, context.Cause(ctx), nil, failure)
		if panicked != nil {
			panic(panicked)
		}
	}()
	progress, err := execute(ctx, e)
	returned = true
	return progress, err
}

var errGone = errors.New("the work was stopped before the run had ended")

// leaveUsage says once what a run cost that is lost; whose it is now, its usage is too. The error is the one given.
func (e *Execution) leaveUsage(ctx context.Context, lost error) error {
	if usage, _ := e.usage(nil); usage != nil {
		_, _ = e.client.UpdateProgress(ctx, &runsvcv1.UpdateProgressRequest{
			RunId: e.Run.GetRunId(), WorkerId: e.workerID(), Progress: usage, Final: true,
		})
	}
	return lost
}

// Report sends progress, in the order of the calls: the fields that are set replace what was reported of them before. False: it was
// not applied, for the run is over, or there is no server now. The next report, at the latest that of the end, makes up for it then.
// An error is that of a report that the server does not take, or of a ctx that was cancelled.
func (e *Execution) Report(ctx context.Context, progress *runsvcv1.Progress) (bool, error) {
	e.reporting.Lock()
	defer e.reporting.Unlock()
	total, err := e.with(progress)
	if err != nil {
		return false, err
	}
	e.sequence++
	answer, err := e.client.UpdateProgress(ctx, &runsvcv1.UpdateProgressRequest{
		RunId: e.Run.GetRunId(), WorkerId: e.workerID(), Progress: total, Sequence: &e.sequence,
	})
	switch {
	case err == nil:
		e.judge(answer.GetRun())
	case losing(err):
		e.stop(ErrLost)
	case passing(err):
	case errors.Is(err, context.Canceled):
		// The usage is what it is, whoever is in a hurry.
		e.progress = total
		return false, err
	default:
		return false, err
	}
	e.progress = total
	return answer.GetApplied(), nil
}

// with is the usage so far and this one. An error: it cannot be sent, ever, which gRPC would tell like trouble that passes.
func (e *Execution) with(progress *runsvcv1.Progress) (*runsvcv1.Progress, error) {
	total := proto.CloneOf(e.progress)
	proto.Merge(total, progress)
	_, err := proto.Marshal(total)
	return total, err
}

// usage is the final usage, without this one if that cannot be sent. Nil: there is nothing to tell.
func (e *Execution) usage(progress *runsvcv1.Progress) (*runsvcv1.Progress, error) {
	e.reporting.Lock()
	defer e.reporting.Unlock()
	total, err := e.with(progress)
	if err == nil {
		e.progress = total
	}
	if proto.Size(e.progress) == 0 {
		return nil, err
	}
	return e.progress, err
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
	// A run that cannot be started is lost to nobody.
	answer, err := repeated(ctx, e.client.timeout, request, e.client.SetStatus)
	e.Run = answer.GetRun()
	if e.lease = e.worker.Lease; e.lease <= 0 {
		// Promised when the run was created.
		e.lease = e.Run.GetLease().GetTtl().AsDuration()
	}
	return err
}

// support begins what may stop the function and what keeps the lease, and returns what ends it.
func (e *Execution) support(ctx context.Context) func() {
	ctx, end := context.WithCancel(ctx)
	var support sync.WaitGroup
	support.Go(func() { e.watch(ctx) })
	if e.worker.ID != "" && e.lease > 0 {
		support.Go(func() { e.keepLease(ctx) })
	}
	return func() {
		end()
		support.Wait()
	}
}

// watch stops the function when others end the run. Whatever else ends a watch, a new one begins with the run's present state.
func (e *Execution) watch(ctx context.Context) {
	request := Run(e.Run.GetRunId())
	request.AfterRevision = proto.Uint64(e.Run.GetRevision())
	var waits waits
	for {
		err := e.follow(ctx, request)
		if losing(err) {
			e.stop(ErrLost)
		}
		if err == nil || losing(err) || waits.next(ctx, err) != nil {
			return
		}
		request.AfterRevision = nil
	}
}

func (e *Execution) follow(ctx context.Context, request *runsvcv1.StreamStatusRequest) error {
	for event, err := range e.client.Watch(ctx, request, WithOutage(forever)) {
		if err != nil {
			return err
		}
		if event.GetEvent() == runsvcv1.StatusEvent_STATUS_EVENT_DELETED {
			e.stop(ErrLost)
		} else if event.GetRun() != nil {
			e.judge(event.GetRun())
		}
	}
	return nil
}

func (e *Execution) judge(run *runsvcv1.Run) {
	switch {
	case run.GetStatus() == runsvcv1.RunStatus_RUN_STATUS_INTERRUPTED:
		e.stop(ErrCancelled)
	case ended(run):
		e.stop(ErrLost)
	}
}

// keepLease sends heartbeats, also while nobody answers: only an answer stops the function.
func (e *Execution) keepLease(ctx context.Context) {
	interval := e.lease / 3
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		beat, cancel := context.WithTimeout(ctx, min(interval, e.client.timeout))
		answer, err := e.client.Heartbeat(beat, &runsvcv1.HeartbeatRequest{RunId: e.Run.GetRunId(), WorkerId: e.worker.ID})
		cancel()
		if losing(err) {
			e.stop(ErrLost)
			return
		}
		if err == nil {
			e.judge(answer.GetRun())
		}
	}
}

// report tells how the run ended, in the way that the cause for which the function was stopped asks for.
func (e *Execution) report(ctx context.Context, cause error, progress *runsvcv1.Progress, failure error) (*runsvcv1.Run, error) {
	usage, unsendable := e.usage(progress)
	if failure == nil {
		failure = unsendable
	}
	patience := max(e.lease, DefaultOutage)
	switch {
	case cause == ErrLost:
		return nil, fmt.Errorf("run %s: %w", e.Run.GetRunId(), ErrLost)
	case cause == ErrCancelled:
		return e.acknowledge(ctx, patience, usage)
	case cause != nil:
		// Whoever stops the work from outside is in a hurry.
		patience = e.client.timeout
	}
	return e.complete(ctx, patience, usage, failure)
}

func (e *Execution) acknowledge(ctx context.Context, patience time.Duration, progress *runsvcv1.Progress) (*runsvcv1.Run, error) {
	request := &runsvcv1.AcknowledgeCancelRequest{RunId: e.Run.GetRunId(), WorkerId: e.workerID(), Progress: progress}
	answer, err := repeated(ctx, patience, request, e.client.AcknowledgeCancel)
	return answer.GetRun(), err
}

func (e *Execution) complete(ctx context.Context, patience time.Duration, progress *runsvcv1.Progress, failure error) (*runsvcv1.Run, error) {
	request := &runsvcv1.CompleteRequest{
		RunId: e.Run.GetRunId(), Status: runsvcv1.RunStatus_RUN_STATUS_SUCCESS, WorkerId: e.workerID(), Progress: progress,
	}
	if failure != nil {
		request.Status, request.Error = runsvcv1.RunStatus_RUN_STATUS_ERROR, proto.String(errorText(failure))
	}
	answer, err := repeated(ctx, patience, request, e.client.Complete)
	// The cancel came between the function's end and the report.
	if refusal, ok := err.(*Error); ok && refusal.Reason == "INVALID_TRANSITION" && refusal.Metadata["from"] == "INTERRUPTED" {
		return e.acknowledge(ctx, patience, progress)
	}
	return answer.GetRun(), err
}

const forever = time.Duration(1<<63 - 1)
