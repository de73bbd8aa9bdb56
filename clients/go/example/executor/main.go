// Command executor executes the runs of the assistant "echo" until Ctrl-C:
//
//	go run ./example/executor
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

const (
	assistant = "echo"
	lease     = 30 * time.Second
)

func main() {
	client, err := runsvc.FromEnv()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	e := &executor{client: client, options: runsvc.ExecuteOptions{Lease: lease}}
	log.Printf("the executor waits for runs of %s", assistant)
	if err := e.takeRuns(ctx); ctx.Err() == nil {
		log.Fatal(err)
	}
	log.Print("stopped")
}

type executor struct {
	client  *runsvc.Client
	options runsvc.ExecuteOptions
	// The ids of the runs in progress: a new snapshot can contain a run that is about to start.
	inProgress sync.Map
	tasks      sync.WaitGroup
}

// takeRuns executes every PENDING run until ctx ends. It returns after the end of each run was reported.
func (e *executor) takeRuns(ctx context.Context) error {
	defer e.tasks.Wait()
	for {
		err := e.watch(ctx)
		var failure *runsvc.Error
		if errors.As(err, &failure) && failure.Code == codes.OutOfRange {
			// The server has discarded the changes since the watch's position: start again with a snapshot.
			continue
		}
		return err
	}
}

func (e *executor) watch(ctx context.Context) error {
	request := runsvc.All()
	request.GetAll().AssistantId = proto.String(assistant)
	for event, err := range e.client.Watch(ctx, request, runsvc.WithOutage(time.Hour)) {
		if err != nil {
			return err
		}
		runID := event.GetRun().GetRunId()
		if event.GetRun().GetStatus() != runsvcv1.RunStatus_RUN_STATUS_PENDING {
			continue
		}
		if _, known := e.inProgress.LoadOrStore(runID, true); !known {
			e.tasks.Go(func() { e.execute(ctx, runID) })
		}
	}
	return nil
}

func (e *executor) execute(ctx context.Context, runID string) {
	defer e.inProgress.Delete(runID)
	run, err := e.client.Execute(ctx, runID, e.options, e.answer)
	switch {
	case errors.Is(err, runsvc.ErrLost):
		log.Printf("%s: ended elsewhere", runID)
	case errors.Is(err, runsvc.ErrFailedPrecondition), errors.Is(err, runsvc.ErrNotFound):
		log.Printf("%s: not available, another executor may have taken it", runID)
	case err != nil:
		log.Printf("%s: %v", runID, err)
	default:
		log.Printf("%s: %s %s", runID, run.GetStatus(), run.GetError())
	}
}

// answer is the handler. It repeats the question word by word.
func (e *executor) answer(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
	words := strings.Fields(execution.Run.GetKwargs().GetFields()["input"].GetStringValue())
	for i := range words {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the executor stopped: %w", context.Cause(ctx))
		case <-time.After(300 * time.Millisecond):
		}
		if words[i] == "fail" {
			return nil, errors.New("the question contains the word fail")
		}
		progress := &runsvcv1.Progress{
			TotalTokens:   proto.Int64(int64(i + 1)),
			LastAiMessage: proto.String(strings.Join(words[:i+1], " ")),
		}
		if _, err := execution.Report(ctx, progress); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
