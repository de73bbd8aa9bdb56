package main

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/structpb"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// execution is a run whose handler waits for the suite's commands.
type execution struct {
	run     *runsvc.Execution
	ctx     context.Context
	started chan struct{}
	end     chan end
	result  chan result
}

// end is the outcome that the handler sets and returns.
type end struct {
	progress   *runsvcv1.Progress
	result     *structpb.Struct
	stopReason string
	failure    error
	panics     bool
}

// endOf returns the command's outcome.
func endOf(command object) end {
	ended := end{progress: progress(command)}
	if result, ok := command["result"]; ok {
		ended.result = message(&runsvcv1.CompleteRequest{}, object{"result": result}).GetResult()
	}
	ended.stopReason, _ = command["stop_reason"].(string)
	if text, ok := command["error"].(string); ok {
		ended.failure = errors.New(text)
	}
	if command["retryable"] == true {
		ended.failure = runsvc.Retryable(ended.failure)
	}
	if command["throws"] == "no_text" {
		ended.failure = (*noText)(nil)
	}
	ended.panics = command["throws"] == "panic"
	return ended
}

// apply sets the outcome, and returns the results of the handler.
func (e end) apply(run *runsvc.Execution) (*runsvcv1.Progress, error) {
	if e.result != nil {
		run.SetResult(e.result)
	}
	if e.stopReason != "" {
		run.SetStopReason(e.stopReason)
	}
	if e.panics {
		panic(panicked)
	}
	return e.progress, e.failure
}

// panicked is the value with which a handler panics.
const panicked = "the handler panicked"

// noText is an error whose text cannot be read.
type noText struct{ text string }

func (e *noText) Error() string { return e.text }

// result is the result of Execute.
type result struct {
	run *runsvcv1.Run
	err error
}

func (d *driver) execute(command object) (object, error) {
	k := name(command["k"])
	e := d.executions[k]
	switch command["cmd"] {
	case "work":
		e = d.start(command)
		select {
		case <-e.started:
			d.executions[k] = e
			return object{"run": encode(e.run.Run.ProtoReflect())}, nil
		case failed := <-e.result:
			return nil, failed.err
		}
	case "report":
		applied, err := e.run.Report(e.ctx, progress(command))
		return object{"applied": applied}, err
	case "executing":
		return object{"executing": e.ctx.Err() == nil}, nil
	case "stopped":
		<-e.ctx.Done()
	}
	e.end <- endOf(command)
	delete(d.executions, k)
	reported := <-e.result
	if command["cmd"] == "stopped" {
		return e.stopped(reported)
	}
	if command["throws"] == "panic" {
		return object{}, nil
	}
	// The text of an error without text names the type, which differs by language.
	return object{"run": encodeRun(reported.run, command["throws"] == nil)}, reported.err
}

func (e *execution) stopped(reported result) (object, error) {
	switch {
	case errors.Is(reported.err, runsvc.ErrLost):
		return object{"why": "lost"}, nil
	case context.Cause(e.ctx) == runsvc.ErrFenced:
		return object{"why": "fenced", "run": encodeRun(reported.run, false)}, reported.err
	}
	return object{"why": "cancelled", "run": encodeRun(reported.run, true)}, reported.err
}

func encodeRun(run *runsvcv1.Run, withError bool) object {
	written := encode(run.ProtoReflect())
	if !withError {
		delete(written, "error")
	}
	return written
}

func (d *driver) start(command object) *execution {
	e := &execution{started: make(chan struct{}), end: make(chan end), result: make(chan result, 1)}
	id, hasID := command["worker_id"]
	options := runsvc.ExecuteOptions{WithoutHolder: !hasID}
	if hasID {
		options.WorkerID = fmt.Sprint(id)
	}
	if ttl, ok := command["lease_ttl_ms"]; ok {
		options.Lease = milliseconds(ttl)
	}
	options.Fence, _ = command["fence"].(bool)
	go func() {
		defer func() {
			if value := recover(); value == panicked {
				e.result <- result{}
			} else if value != nil {
				panic(value)
			}
		}()
		run, err := d.client.Execute(context.Background(), fmt.Sprint(command["run_id"]), options, e.handle)
		e.result <- result{run, err}
	}()
	return e
}

func (e *execution) handle(ctx context.Context, run *runsvc.Execution) (*runsvcv1.Progress, error) {
	e.run, e.ctx = run, ctx
	close(e.started)
	ended := <-e.end
	return ended.apply(run)
}

// progress returns the command's progress, or nil if it has none.
func progress(command object) *runsvcv1.Progress {
	if _, ok := command["progress"]; !ok {
		return nil
	}
	return message(&runsvcv1.UpdateProgressRequest{}, command).GetProgress()
}
