package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// worker is a worker whose handlers wait for the suite's commands.
type worker struct {
	worker *runsvc.Worker
	stop   context.CancelFunc
	// The result of Run.
	stopped chan error
	// The calls of the handler that no command has asked for yet.
	called chan *runsvc.Execution

	lock  sync.Mutex
	calls map[string]*workerCall
}

// workerCall is a call of the handler.
type workerCall struct {
	end chan end
	// The cause for which the handler was asked to stop.
	cause error
	ended chan result
}

func (d *driver) work(command object) (object, error) {
	k := name(command["k"])
	w := d.workers[k]
	switch command["cmd"] {
	case "worker":
		started, err := d.startWorker(command)
		d.workers[k] = started
		return object{}, err
	case "worker_next":
		return w.next()
	case "worker_finish":
		return w.finish(command)
	case "worker_stopped":
		return w.waitForStop(fmt.Sprint(command["run_id"]))
	case "worker_stop":
		w.stop()
		return object{}, <-w.stopped
	}
	health := w.worker.Health()
	return object{"state": string(health.State), "running": health.Running}, nil
}

func (d *driver) startWorker(command object) (*worker, error) {
	w := &worker{stopped: make(chan error, 1), called: make(chan *runsvc.Execution, 100), calls: map[string]*workerCall{}}
	options := runsvc.WorkerOptions{Ended: w.noteEnd}
	options.WorkerID, _ = command["worker_id"].(string)
	assistants, named := command["assistants"].([]any)
	options.AnyAssistant = !named
	for _, assistant := range assistants {
		options.Assistants = append(options.Assistants, fmt.Sprint(assistant))
	}
	if concurrency, ok := command["concurrency"]; ok {
		options.Concurrency = int(integer(concurrency))
	}
	if ttl, ok := command["lease_ttl_ms"]; ok {
		options.Lease = milliseconds(ttl)
	}
	if grace, ok := command["grace_ms"]; ok {
		// Zero would be the default.
		options.Grace = max(milliseconds(grace), 1)
	}
	var err error
	if w.worker, err = d.client.Worker(options, w.handle); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	go func() { w.stopped <- w.worker.Run(ctx) }()
	return w, nil
}

func (w *worker) call(runID string) *workerCall {
	w.lock.Lock()
	defer w.lock.Unlock()
	return w.calls[runID]
}

func (w *worker) handle(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
	call := &workerCall{end: make(chan end, 1), ended: make(chan result, 1)}
	w.lock.Lock()
	w.calls[execution.Run.GetRunId()] = call
	w.lock.Unlock()
	w.called <- execution
	select {
	case ended := <-call.end:
		return ended.apply(execution)
	case <-ctx.Done():
		call.cause = context.Cause(ctx)
		return nil, call.cause
	}
}

func (w *worker) noteEnd(run *runsvcv1.Run, err error) {
	if call := w.call(run.GetRunId()); call != nil {
		call.ended <- result{run, err}
	}
}

func (w *worker) next() (object, error) {
	execution := <-w.called
	run := execution.Run
	return object{"run": encode(run.ProtoReflect()), "attempt": run.GetAttempt()}, nil
}

func (w *worker) finish(command object) (object, error) {
	call := w.call(fmt.Sprint(command["run_id"]))
	call.end <- endOf(command)
	ended := <-call.ended
	return object{"run": encode(ended.run.ProtoReflect())}, ended.err
}

func (w *worker) waitForStop(runID string) (object, error) {
	call := w.call(runID)
	ended := <-call.ended
	switch {
	case errors.Is(ended.err, runsvc.ErrLost):
		return object{"why": "lost"}, nil
	case call.cause == runsvc.ErrReleased:
		return object{"why": "released", "run": encode(ended.run.ProtoReflect())}, ended.err
	}
	return object{"why": "cancelled", "run": encode(ended.run.ProtoReflect())}, ended.err
}
