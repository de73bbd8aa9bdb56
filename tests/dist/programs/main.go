// Create a run, execute it with a lease, and print how it ended.
package main

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

func main() {
	run, err := execute(context.Background(), "go-executor")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.GetRunId(), strings.TrimPrefix(run.GetStatus().String(), "RUN_STATUS_"))
}

func execute(ctx context.Context, workerID string) (*runsvcv1.Run, error) {
	client, err := runsvc.FromEnv()
	if err != nil {
		return nil, err
	}
	defer client.Close()

	created, err := client.Create(ctx, &runsvcv1.CreateRequest{Spec: &runsvcv1.RunSpec{ThreadId: "go"}})
	if err != nil {
		return nil, err
	}
	runID := created.GetRun().GetRunId()
	start := &runsvcv1.SetStatusRequest{
		RunId:    runID,
		Status:   runsvcv1.RunStatus_RUN_STATUS_RUNNING,
		WorkerId: &workerID,
		LeaseTtl: durationpb.New(30 * time.Second),
	}
	if _, err := client.SetStatus(ctx, start); err != nil {
		return nil, err
	}
	if _, err := client.Heartbeat(ctx, &runsvcv1.HeartbeatRequest{RunId: runID, WorkerId: workerID}); err != nil {
		return nil, err
	}
	end := &runsvcv1.CompleteRequest{RunId: runID, Status: runsvcv1.RunStatus_RUN_STATUS_SUCCESS, WorkerId: &workerID}
	if _, err := client.Complete(ctx, end); err != nil {
		return nil, err
	}
	got, err := client.Get(ctx, &runsvcv1.GetRequest{RunId: runID})
	return got.GetRun(), err
}
