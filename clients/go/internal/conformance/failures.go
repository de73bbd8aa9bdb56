package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// hostileError is an error whose text is the result of a function, which may not return.
type hostileError struct{ text func() string }

func (e *hostileError) Error() string { return e.text() }

func fails(failure error) handlerEnd {
	return func() (*runsvcv1.Progress, error) { return nil, failure }
}

func panics(value any) handlerEnd {
	return func() (*runsvcv1.Progress, error) { panic(value) }
}

func uses(usage *runsvcv1.Progress) handlerEnd {
	return func() (*runsvcv1.Progress, error) { return usage, nil }
}

// handlerEnd is an end of a handler.
type handlerEnd func() (*runsvcv1.Progress, error)

// ends holds every way in which a handler can end.
var ends = []handlerEnd{
	uses(nil),
	uses(&runsvcv1.Progress{TotalTokens: proto.Int64(1)}),
	fails(errors.New("the work failed")),
	fails(errors.New("")),
	fails((*hostileError)(nil)),
	fails(&hostileError{func() string { panic("no text") }}),
	fails(&hostileError{func() string { runtime.Goexit(); return "" }}),
	fails(&hostileError{func() string { select {} }}),
	fails(errors.New("\xff\x00")),
	fails(errors.New(strings.Repeat("long", 100_000))),
	fails(context.Canceled),
	panics("the work failed"),
	panics(nil),
	panics(&hostileError{func() string { panic("no text") }}),
	func() (*runsvcv1.Progress, error) { runtime.Goexit(); return nil, nil },
	uses(&runsvcv1.Progress{TotalTokens: proto.Int64(-1)}),
	uses(&runsvcv1.Progress{LastAiMessage: proto.String(strings.Repeat("long", 2_000_000))}),
}

// executeAll executes runs at the same time, whose handlers end in every way, and waits until all have returned.
func (d *driver) executeAll(command object) (object, error) {
	lease, work := milliseconds(command["lease_ttl_ms"]), milliseconds(command["work_ms"])
	var executions sync.WaitGroup
	for number, id := range command["run_ids"].([]any) {
		end := ends[(int(integer(command["first"]))+number)%len(ends)]
		executions.Add(1)
		go func() {
			defer executions.Done()
			defer func() { _ = recover() }()
			options := runsvc.ExecuteOptions{Lease: lease}
			_, _ = d.client.Execute(context.Background(), fmt.Sprint(id), options, func(ctx context.Context, _ *runsvc.Execution) (*runsvcv1.Progress, error) {
				select {
				case <-ctx.Done():
				case <-time.After(work):
				}
				return end()
			})
		}()
	}
	executions.Wait()
	return object{}, nil
}
