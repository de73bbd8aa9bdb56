package runsvc

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// supervise watches the run and renews its lease in the background. The function that it returns ends both and waits
// for them.
func (e *Execution) supervise(ctx context.Context) func() {
	ctx, end := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	tasks.Go(func() { e.watch(ctx) })
	if e.options.WorkerID != "" && e.lease > 0 {
		tasks.Go(func() { e.keepLease(ctx) })
	}
	return func() {
		end()
		tasks.Wait()
	}
}

// watch stops the handler when the run ends elsewhere. When a watch fails for any other reason, a new one starts from
// the run's present state.
func (e *Execution) watch(ctx context.Context) {
	request := Run(e.Run.GetRunId())
	request.AfterRevision = proto.Uint64(e.Run.GetRevision())
	var pauses backoffPauses
	for {
		err := e.follow(ctx, request)
		if endsExecution(err) {
			e.stop(ErrLost)
		}
		if err == nil || endsExecution(err) || pauses.wait(ctx, err) != nil {
			return
		}
		request.AfterRevision = nil
	}
}

func (e *Execution) follow(ctx context.Context, request *runsvcv1.StreamStatusRequest) error {
	for event, err := range e.client.Watch(ctx, request, WithOutage(unlimited)) {
		if err != nil {
			return err
		}
		if event.GetEvent() == runsvcv1.StatusEvent_STATUS_EVENT_DELETED {
			e.stop(ErrLost)
		} else if event.GetRun() != nil {
			e.observe(event.GetRun())
		}
	}
	return nil
}

// observe stops the handler if the run has ended.
func (e *Execution) observe(run *runsvcv1.Run) {
	switch {
	case run.GetStatus() == runsvcv1.RunStatus_RUN_STATUS_INTERRUPTED:
		e.stop(ErrCancelled)
	case isTerminal(run), e.isElsewhere(run):
		e.stop(ErrLost)
	}
}

// isElsewhere reports whether the server has taken the run away for another attempt.
func (e *Execution) isElsewhere(run *runsvcv1.Run) bool {
	isPending := run.GetStatus() == runsvcv1.RunStatus_RUN_STATUS_PENDING
	return isPending && run.GetRevision() > e.Run.GetRevision() || run.GetAttempt() > e.Run.GetAttempt()
}

// keepLease sends heartbeats. A heartbeat without an answer does not stop the handler, unless the lease is fenced.
func (e *Execution) keepLease(ctx context.Context) {
	fence := e.startFence()
	defer fence.Stop()
	request := &runsvcv1.HeartbeatRequest{
		RunId: e.Run.GetRunId(), WorkerId: e.options.WorkerID, Attempt: e.attempt(),
	}
	interval := max(e.lease/3, time.Millisecond)
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		sent := time.Now()
		beat, cancel := context.WithTimeout(ctx, min(interval, e.client.timeout))
		answer, err := e.client.Heartbeat(beat, request)
		cancel()
		if endsExecution(err) {
			e.stop(ErrLost)
			return
		}
		if err == nil {
			fence.Reset(e.lease - time.Since(sent))
			e.observe(answer.GetRun())
		}
	}
}

// startFence returns a timer that stops the handler when the lease may have expired. The lease lasts at least from the
// moment in which its last renewal was sent.
func (e *Execution) startFence() *time.Timer {
	if !e.options.Fence {
		return time.NewTimer(unlimited)
	}
	return time.AfterFunc(e.lease-time.Since(e.renewed), func() { e.stop(ErrFenced) })
}
