// Command worker claims the runs of the assistant "echo" and performs up to four at a time, until Ctrl-C:
//
//	go run ./example/worker
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

func main() {
	client, err := runsvc.FromEnv()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	options := runsvc.WorkerOptions{
		Assistants: []string{"echo"}, Concurrency: 4, Grace: 10 * time.Second, Ended: logEnd,
	}
	worker, err := client.Worker(options, answer)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	log.Print("the worker waits for runs of echo")
	if err := worker.Run(ctx); err != nil {
		log.Print(err)
		return
	}
	log.Print("stopped")
}

func logEnd(run *runsvcv1.Run, err error) {
	if err != nil {
		log.Printf("%s: %v", run.GetRunId(), err)
		return
	}
	log.Printf("%s: %s %s", run.GetRunId(), run.GetStatus(), run.GetError())
}

// answer is the handler. It repeats the question word by word.
func answer(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
	words := strings.Fields(execution.Run.GetKwargs().GetFields()["input"].GetStringValue())
	for i, word := range words {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(300 * time.Millisecond): // The work.
		}
		if word == "fail" {
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
	execution.SetResult(&structpb.Struct{
		Fields: map[string]*structpb.Value{"answer": structpb.NewStringValue(strings.Join(words, " "))},
	})
	return nil, nil
}
