package runsvc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// Causes for which the context of a [Handler] ends; see context.Cause.
var (
	// ErrCancelled means that the run was cancelled, or displaced by a newer run of its thread.
	ErrCancelled = errors.New("the run was cancelled")
	// ErrLost means that the run ended in another way, was removed, or is held by another executor.
	ErrLost = errors.New("this executor has lost the run")
	// ErrFenced means that the lease may have expired: no renewal was confirmed in time. See ExecuteOptions.Fence.
	ErrFenced = errors.New("the lease may have expired: no renewal was confirmed in time")
)

// errExited is reported for a handler that ends its goroutine.
var errExited = errors.New("the handler exited without returning")

// ExecuteOptions configures an execution.
type ExecuteOptions struct {
	// WorkerID identifies the executor and makes it the run's holder: the server then rejects reports from others.
	// Every process needs its own id. By default, each execution has a new id of host, process id and a random part.
	WorkerID string
	// WithoutHolder executes the run without a worker id, so that reports from others are accepted.
	WithoutHolder bool
	// Lease is the time after which the server ends the run as ERROR if it has received no heartbeat. It needs a
	// holder, and is 1 second to 1 hour long. If it is zero, the lease set when the run was created applies, if
	// any.
	Lease time.Duration
	// Fence ends the handler's context, with the cause ErrFenced, when the lease may have expired by this program's
	// own monotonic clock, because the server has confirmed no renewal in time. Without it, the handler keeps running
	// while the server is unavailable.
	Fence bool
}

// Handler executes a run. It should return soon after ctx ends; the cause is ErrCancelled, ErrLost, ErrFenced, in a
// Worker ErrReleased, or that of the caller's context.
//
// The progress that it returns is the run's final usage, merged into the usage reported before; it may be nil. It is
// also recorded for a cancelled run. An error ends the run as ERROR with the error's text; see Retryable.
type Handler func(ctx context.Context, execution *Execution) (*runsvcv1.Progress, error)

// Execution is a run while its handler executes it.
type Execution struct {
	// Run is the run as it was started, with its kwargs.
	Run *runsvcv1.Run

	client  *Client
	options ExecuteOptions
	// The lease in force. Zero: none.
	lease time.Duration
	// A worker has claimed the run. Reports then carry the attempt.
	claimed bool
	// Sent with the last confirmed renewal of the lease, or with the start.
	renewed time.Time
	stop    context.CancelCauseFunc

	// Guards the fields below, and keeps the reports in order.
	reporting sync.Mutex
	sequence  uint64
	// The usage so far.
	progress *runsvcv1.Progress
	outcome  outcome
}

// Execute executes a run: it starts the run, reads its input, calls the handler, renews the lease, ends the handler's
// context when the run ends elsewhere, and reports how the run ended. It blocks until then. If the input cannot be
// read, the run ends as ERROR.
//
// It returns the run as reported, with its kwargs: SUCCESS, ERROR or INTERRUPTED. The error is ErrLost if the run ended
// elsewhere; otherwise it is the error of the start or of the report. If the server rejects the usage, the result or the stop
// reason, Execute reports the same end without the three, and returns the run and ErrInvalidArgument. If the handler
// panics, Execute reports ERROR and panics with the same value.
//
// If the server is unavailable, the handler keeps running: such time does not count towards lease expiry, and only an
// answer of the server stops the handler, unless the options have a Fence. Execute then repeats the report of the end
// for as long as the lease, and for at least one minute. If ctx has ended, it repeats it for the timeout of a call.
func (c *Client) Execute(
	ctx context.Context, runID string, options ExecuteOptions, handler Handler,
) (*runsvcv1.Run, error) {
	execution := c.execution(options)
	if err := execution.start(ctx, runID); err != nil {
		return nil, err
	}
	return execution.execute(ctx, handler)
}

// execution returns an execution that has not started.
func (c *Client) execution(options ExecuteOptions) *Execution {
	if options.WithoutHolder {
		options.WorkerID = ""
	} else if options.WorkerID == "" {
		options.WorkerID = newWorkerID()
	}
	// Sequence numbers start from the clock, so that they exceed those of an earlier execution of the same run.
	sequence := uint64(time.Now().UnixNano())
	return &Execution{client: c, options: options, sequence: sequence, progress: &runsvcv1.Progress{}}
}

// execute performs a run that has started.
func (e *Execution) execute(ctx context.Context, handler Handler) (*runsvcv1.Run, error) {
	handling, stop := context.WithCancelCause(ctx)
	e.stop = stop
	defer stop(nil)
	// The end is reported, and the lease renewed until then, also after ctx has ended: otherwise the run would stay
	// active.
	reporting := context.WithoutCancel(ctx)
	defer e.supervise(reporting)()
	progress, failure := e.call(handling, handler)
	cause := context.Cause(handling)
	stop(nil)
	done, err := e.reportEnd(reporting, cause, progress, failure)
	if endsExecution(err) {
		err = fmt.Errorf("run %s: %w: %w", e.Run.GetRunId(), ErrLost, err)
	}
	if errors.Is(err, ErrLost) {
		return nil, e.reportLostUsage(reporting, err)
	}
	if done != nil {
		// Answers to reports do not contain the input.
		done.Kwargs = e.Run.GetKwargs()
	}
	return done, err
}

// call calls the handler. If the handler panics or ends its goroutine, call reports ERROR first, and then does the
// same.
func (e *Execution) call(ctx context.Context, handler Handler) (*runsvcv1.Progress, error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		failure := errExited
		panicked := recover()
		if panicked != nil {
			failure = panicError{panicked}
		}
		_, _ = e.reportEnd(context.WithoutCancel(ctx), context.Cause(ctx), nil, failure)
		if panicked != nil {
			panic(panicked)
		}
	}()
	progress, err := e.perform(ctx, handler)
	returned = true
	return progress, err
}

// perform adds the input to the run, which the answer to the start does not contain, and calls the handler.
func (e *Execution) perform(ctx context.Context, handler Handler) (*runsvcv1.Progress, error) {
	if e.claimed {
		return handler(ctx, e)
	}
	request := &runsvcv1.GetRequest{RunId: e.Run.GetRunId()}
	answer, err := repeat(ctx, e.retryTime(), request, e.client.Get)
	if err == nil {
		e.Run.Kwargs = answer.GetRun().GetKwargs()
		return handler(ctx, e)
	}
	if endsExecution(err) {
		e.stop(ErrLost)
	}
	return nil, fmt.Errorf("cannot read the input of the run: %w", err)
}

// Report sends progress. The fields that are set replace those of earlier reports, for each model of ByModel too.
//
// It returns false if the server did not apply the report, because the run has ended or the server is unavailable. In
// the second case the next report, at the latest that of the end, includes this one. It returns an error if the
// server rejects the report, or if ctx is cancelled.
func (e *Execution) Report(ctx context.Context, progress *runsvcv1.Progress) (bool, error) {
	e.reporting.Lock()
	defer e.reporting.Unlock()
	total, err := e.merge(progress)
	if err != nil {
		return false, err
	}
	e.sequence++
	answer, err := e.client.UpdateProgress(ctx, &runsvcv1.UpdateProgressRequest{
		RunId: e.Run.GetRunId(), WorkerId: e.workerID(), Attempt: e.attempt(), Progress: total, Sequence: &e.sequence,
	})
	switch {
	case err == nil:
		e.observe(answer.GetRun())
	case endsExecution(err):
		e.stop(ErrLost)
	case isOutage(err):
	case errors.Is(err, context.Canceled):
		// The tokens are spent, although the caller did not wait for the answer.
		e.progress = total
		return false, err
	default:
		return false, err
	}
	e.progress = total
	return answer.GetApplied(), nil
}

// merge returns the usage so far with the given progress merged. It fails for progress that cannot be encoded or is
// too large: gRPC would return a code that looks transient.
func (e *Execution) merge(progress *runsvcv1.Progress) (*runsvcv1.Progress, error) {
	total := proto.CloneOf(e.progress)
	mergeProgress(total, progress)
	encoded, err := proto.Marshal(total)
	if err == nil && len(encoded) > maxUsage {
		err = fmt.Errorf("the progress has %d bytes, but at most %d can be sent; shorten its texts", len(encoded), maxUsage)
	}
	return total, err
}

// finalUsage merges the handler's last progress, unless that cannot be encoded. It returns nil if no usage is known.
func (e *Execution) finalUsage(progress *runsvcv1.Progress) (*runsvcv1.Progress, error) {
	e.reporting.Lock()
	defer e.reporting.Unlock()
	total, err := e.merge(progress)
	if err == nil {
		e.progress = total
	}
	if proto.Size(e.progress) == 0 {
		return nil, err
	}
	return e.progress, err
}

func (e *Execution) workerID() *string {
	if e.options.WorkerID == "" {
		return nil
	}
	return &e.options.WorkerID
}

// attempt returns the attempt that reports carry, or nil.
func (e *Execution) attempt() *int32 {
	if !e.claimed {
		return nil
	}
	return &e.Run.Attempt
}

func (e *Execution) start(ctx context.Context, runID string) error {
	request := &runsvcv1.SetStatusRequest{
		RunId: runID, Status: runsvcv1.RunStatus_RUN_STATUS_RUNNING, WorkerId: e.workerID(),
	}
	// The server rejects a lease that is too short or too long.
	if e.options.Lease != 0 {
		request.LeaseTtl = durationpb.New(e.options.Lease)
	}
	send := func(
		ctx context.Context, request *runsvcv1.SetStatusRequest, options ...grpc.CallOption,
	) (*runsvcv1.SetStatusResponse, error) {
		e.renewed = time.Now()
		return e.client.SetStatus(ctx, request, options...)
	}
	answer, err := repeatWhile(ctx, isTransient, e.client.timeout, request, send)
	e.Run = answer.GetRun()
	if e.lease = e.options.Lease; e.lease <= 0 {
		e.lease = e.Run.GetLease().GetTtl().AsDuration()
	}
	return err
}
