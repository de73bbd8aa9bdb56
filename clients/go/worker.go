package runsvc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

const (
	// DefaultLease is the lease of a worker's runs, unless WorkerOptions.Lease sets another one.
	DefaultLease = 30 * time.Second
	// DefaultGrace is the time for runs in progress after a worker was stopped, unless WorkerOptions.Grace sets another.
	DefaultGrace = 30 * time.Second
	// defaultWait is the time for which the server holds a claim until there is a run.
	defaultWait = 20 * time.Second
	// maxWait is the longest such time.
	maxWait = time.Minute
	// maxClaim is the largest number of runs that one claim may ask for.
	maxClaim = 32
)

// ErrReleased is the cause for which a handler's context ends when its worker stops and the grace period is over. The
// worker then gives the run back, and the attempt does not count.
var ErrReleased = errors.New("the worker stops and gives the run back")

// WorkerOptions configures a worker.
type WorkerOptions struct {
	// Assistants are the assistants whose runs the worker performs, 1 to 16.
	Assistants []string
	// AnyAssistant makes the worker perform the runs of every assistant, and those without one. Assistants must then be
	// empty.
	AnyAssistant bool
	// Concurrency is the largest number of runs at a time. If it is zero, it is 1.
	Concurrency int
	// Lease is the time after which the server takes a run away if it has received no heartbeat, 1 second to 1 hour. If
	// it is zero, it is DefaultLease.
	Lease time.Duration
	// WorkerID identifies the worker as the holder of its runs. Every process needs its own id. By default it consists
	// of host, process id and a random part.
	WorkerID string
	// Fence ends a handler's context when its lease may have expired; see ExecuteOptions.Fence.
	Fence bool
	// Grace is how long runs in progress may go on after the worker was stopped. If it is zero, it is DefaultGrace; if
	// it is negative, they are stopped at once.
	Grace time.Duration
	// Wait is how long the server holds a claim until there is a run, at most one minute. If it is zero, it is 20 s.
	Wait time.Duration
	// Ended is called after each run, with the results of Execute: the run as reported, or an error. A handler that
	// panics or ends its goroutine is an error too. By default, errors are logged.
	Ended func(run *runsvcv1.Run, err error)
}

// Worker claims runs and performs them.
type Worker struct {
	client  *Client
	options WorkerOptions
	handler Handler
	// Signalled when a run has ended.
	freed chan struct{}
	tasks sync.WaitGroup

	// Guards the health.
	lock   sync.Mutex
	health WorkerHealth
}

// Worker returns a worker, which Run starts. It fails if the options are invalid.
func (c *Client) Worker(options WorkerOptions, handler Handler) (*Worker, error) {
	if options.AnyAssistant == (len(options.Assistants) > 0) {
		return nil, errors.New("a worker needs either Assistants or AnyAssistant")
	}
	if options.Concurrency < 0 {
		return nil, fmt.Errorf("the Concurrency must be positive, but is %d", options.Concurrency)
	}
	if options.WorkerID == "" {
		options.WorkerID = newWorkerID()
	}
	if options.Ended == nil {
		options.Ended = logEnd
	}
	options.Concurrency = max(options.Concurrency, 1)
	options.Lease = orDefault(options.Lease, DefaultLease)
	options.Grace = orDefault(options.Grace, DefaultGrace)
	options.Wait = orDefault(options.Wait, defaultWait)
	if options.Fence {
		// The fence counts from the time at which a claim was sent.
		options.Wait = min(options.Wait, options.Lease/3)
	}
	return &Worker{client: c, options: options, handler: handler, freed: make(chan struct{}, 1)}, nil
}

func orDefault(length, standard time.Duration) time.Duration {
	if length == 0 {
		return standard
	}
	return length
}

func logEnd(run *runsvcv1.Run, err error) {
	if err != nil {
		slog.Error("a run was not performed", "run_id", run.GetRunId(), "error", err)
	}
}

// Run claims and performs runs until ctx ends. Then it claims no more, lets the runs in progress go on for the grace
// period, stops the handlers of the others with the cause ErrReleased, and gives their runs back. It returns nil when
// all handlers have returned.
//
// It survives outages of the server, restarts, and credentials that expire. It stops in the same way, and returns the
// error, if the server rejects its claims for another reason. A worker runs once.
func (w *Worker) Run(ctx context.Context) error {
	handling, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	failure := w.claimRuns(ctx, handling)
	w.setState(WorkerDraining)
	w.drain(stop)
	w.setState(WorkerStopped)
	return failure
}

// drain waits until all handlers have returned. After the grace period it stops them.
func (w *Worker) drain(stop context.CancelCauseFunc) {
	grace := time.AfterFunc(w.options.Grace, func() { stop(ErrReleased) })
	defer grace.Stop()
	w.tasks.Wait()
}

// start performs a claimed run in the background.
func (w *Worker) start(ctx context.Context, run *runsvcv1.Run, claimed time.Time) {
	w.addRunning(1)
	w.tasks.Go(func() {
		// As it stays if the handler ends its goroutine.
		done, err := (*runsvcv1.Run)(nil), errExited
		defer func() { w.end(run, done, err) }()
		done, err = w.perform(ctx, run, claimed)
	})
}

// end makes room for another run.
func (w *Worker) end(run, done *runsvcv1.Run, err error) {
	if done == nil {
		done = run
	}
	w.addRunning(-1)
	select {
	case w.freed <- struct{}{}:
	default:
	}
	w.options.Ended(done, err)
}

// perform executes a claimed run. A handler that panics ends its run, and no other.
func (w *Worker) perform(ctx context.Context, run *runsvcv1.Run, claimed time.Time) (done *runsvcv1.Run, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("%s\n%s", errorText(panicError{value}), debug.Stack())
		}
	}()
	execution := w.client.execution(ExecuteOptions{
		WorkerID: w.options.WorkerID, Lease: w.options.Lease, Fence: w.options.Fence,
	})
	execution.Run, execution.lease, execution.renewed = run, w.options.Lease, claimed
	execution.claimed = true
	return execution.execute(ctx, w.handler)
}
