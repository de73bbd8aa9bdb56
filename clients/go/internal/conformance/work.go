package main

import (
	"context"
	"errors"
	"fmt"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// work is a function that executes a run and does what the suite says next.
type work struct {
	execution *runsvc.Execution
	executing context.Context
	started   chan struct{}
	end       chan end
	result    chan result
}

type end struct {
	progress *runsvcv1.Progress
	failure  error
}

type result struct {
	run *runsvcv1.Run
	err error
}

func (d *driver) work(command object) (object, error) {
	k := name(command["k"])
	w := d.works[k]
	switch command["cmd"] {
	case "work":
		w = d.started(command)
		select {
		case <-w.started:
			d.works[k] = w
			return object{"run": form(w.execution.Run.ProtoReflect())}, nil
		case refused := <-w.result:
			return nil, refused.err
		}
	case "report":
		applied, err := w.execution.Report(w.executing, progress(command))
		return object{"applied": applied}, err
	case "executing":
		return object{"executing": w.executing.Err() == nil}, nil
	case "stopped":
		<-w.executing.Done()
	}
	ended := end{progress: progress(command)}
	if text, ok := command["error"].(string); ok {
		ended.failure = errors.New(text)
	}
	w.end <- ended
	delete(d.works, k)
	reported := <-w.result
	if command["cmd"] == "finish" {
		return object{"run": form(reported.run.ProtoReflect())}, reported.err
	}
	return stopped(reported)
}

func stopped(reported result) (object, error) {
	if errors.Is(reported.err, runsvc.ErrLost) {
		return object{"why": "lost"}, nil
	}
	return object{"why": "cancelled", "run": form(reported.run.ProtoReflect())}, reported.err
}

func (d *driver) started(command object) *work {
	w := &work{started: make(chan struct{}), end: make(chan end), result: make(chan result, 1)}
	worker := runsvc.Worker{}
	if id, ok := command["worker_id"]; ok {
		worker.ID = fmt.Sprint(id)
	}
	if ttl, ok := command["lease_ttl_ms"]; ok {
		worker.Lease = milliseconds(ttl)
	}
	go func() {
		run, err := d.client.Work(context.Background(), fmt.Sprint(command["run_id"]), worker, w.execute)
		w.result <- result{run, err}
	}()
	return w
}

func (w *work) execute(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
	w.execution, w.executing = execution, ctx
	close(w.started)
	ended := <-w.end
	return ended.progress, ended.failure
}

// progress is the command's, nil without one.
func progress(command object) *runsvcv1.Progress {
	if _, ok := command["progress"]; !ok {
		return nil
	}
	return message(&runsvcv1.UpdateProgressRequest{}, command).GetProgress()
}
