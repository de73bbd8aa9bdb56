// Command example creates a run, executes it, and watches it from its creation to its end.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"google.golang.org/protobuf/proto"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

func main() {
	client, err := runsvc.FromEnv()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()

	created, err := client.CreateOrReject(ctx, &runsvcv1.CreateOrRejectRequest{Spec: &runsvcv1.RunSpec{ThreadId: "go-example"}})
	var busy *runsvc.Error
	if errors.Is(err, runsvc.ErrThreadBusy) && errors.As(err, &busy) {
		log.Fatalf("the thread is busy with run %s", busy.Metadata["run_id"])
	}
	if err != nil {
		log.Fatal(err)
	}
	runID := created.GetRun().GetRunId()
	fmt.Println("created ", runID)

	go func() {
		if _, err := client.Work(ctx, runID, runsvc.Worker{ID: "go-worker", Lease: 30 * time.Second}, execute); err != nil {
			log.Print(err)
		}
	}()
	for event, err := range client.Watch(ctx, runsvc.Run(runID)) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.GetEvent(), event.GetRun().GetStatus())
	}
}

// execute is a run's work. It stops when the run is cancelled: ctx is done then.
func execute(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
	usage := &runsvcv1.Progress{TotalTokens: proto.Int64(0)}
	for range 3 {
		select {
		case <-ctx.Done():
			return usage, context.Cause(ctx)
		case <-time.After(300 * time.Millisecond):
		}
		*usage.TotalTokens += 100
		if _, err := execution.Report(ctx, usage); err != nil {
			return usage, err
		}
	}
	return usage, nil
}
