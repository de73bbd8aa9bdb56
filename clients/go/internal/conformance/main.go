// Command conformance is the Go driver of the conformance suite; clients/conformance/README.md specifies it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime"
	"time"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// object is a command or an answer.
type object map[string]any

type driver struct {
	client     *runsvc.Client
	watches    map[string]watch
	executions map[string]*execution
	workers    map[string]*worker
}

type watch struct {
	next func() (*runsvcv1.StreamStatusResponse, error, bool)
	stop func()
}

func main() {
	client, err := runsvc.FromEnv()
	if err != nil {
		fatal(err)
	}
	defer client.Close()
	if owner, ok := os.LookupEnv("RUNSVC_TEST_OWNER"); ok {
		client = client.ForOwner(owner)
	}
	d := &driver{client: client, watches: map[string]watch{}, executions: map[string]*execution{}, workers: map[string]*worker{}}
	lines := bufio.NewReader(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		command := parse(line)
		if err := answers.Encode(d.answer(command)); err != nil {
			fatal(err)
		}
		if command["cmd"] == "quit" {
			break
		}
	}
	for _, watch := range d.watches {
		watch.stop()
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func (d *driver) answer(command object) object {
	ok, err := d.do(command)
	var failure *runsvc.Error
	switch {
	case err == nil:
		return object{"ok": ok}
	case errors.As(err, &failure):
		return object{"error": encodeError(err, failure)}
	}
	fatal(err)
	return nil
}

func (d *driver) do(command object) (object, error) {
	ctx := context.Background()
	if limit, ok := command["timeout_ms"]; ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, milliseconds(limit))
		defer cancel()
	}
	switch command["cmd"] {
	case "hello":
		return object{"language": "go"}, nil
	case "quit":
		return object{}, nil
	case "resources":
		runtime.GC()
		return object{"goroutines": runtime.NumGoroutine()}, nil
	case "list", "list_first":
		return d.list(ctx, command)
	case "watch":
		next, stop := iter.Pull2(d.watch(command))
		d.watches[name(command["w"])] = watch{next, stop}
		return object{}, nil
	case "next":
		return d.next(name(command["w"]))
	case "unwatch":
		d.watches[name(command["w"])].stop()
		delete(d.watches, name(command["w"]))
		return object{}, nil
	case "watch_and_leave":
		return d.watchAndLeave(command)
	case "execute_all":
		return d.executeAll(command)
	case "work", "report", "executing", "finish", "stopped":
		return d.execute(command)
	case "worker", "worker_next", "worker_finish", "worker_stopped", "worker_stop", "worker_health":
		return d.work(command)
	}
	return d.call(ctx, command)
}

func (d *driver) list(ctx context.Context, command object) (object, error) {
	runs := []any{}
	for run, err := range d.client.List(ctx, message(&runsvcv1.ListByThreadRequest{}, command)) {
		if err != nil {
			return nil, err
		}
		runs = append(runs, encode(run.ProtoReflect()))
		if count, ok := command["count"]; ok && len(runs) == int(integer(count)) {
			break
		}
	}
	return object{"runs": runs}, nil
}

func (d *driver) watch(command object) iter.Seq2[*runsvcv1.StreamStatusResponse, error] {
	request := message(&runsvcv1.StreamStatusRequest{}, command)
	if outage, ok := command["outage_ms"]; ok {
		return d.client.Watch(context.Background(), request, runsvc.WithOutage(milliseconds(outage)))
	}
	return d.client.Watch(context.Background(), request)
}

func (d *driver) next(w string) (object, error) {
	event, err, more := d.watches[w].next()
	if err == nil && more {
		return encode(event.ProtoReflect()), nil
	}
	d.watches[w].stop()
	delete(d.watches, w)
	return object{"end": true}, err
}

func (d *driver) watchAndLeave(command object) (object, error) {
	for range int(integer(command["rounds"])) {
		for _, err := range d.watch(command) {
			if err != nil {
				return nil, err
			}
			break
		}
	}
	return object{}, nil
}

func milliseconds(value any) time.Duration { return time.Duration(integer(value)) * time.Millisecond }

func name(value any) string { return fmt.Sprint(value) }
