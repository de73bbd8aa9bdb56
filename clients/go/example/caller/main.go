// Command caller asks the assistant "echo" a question on a thread and follows the answer:
//
//	go run ./example/caller chat-1 what is a run
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: caller THREAD QUESTION...")
	}
	client, err := runsvc.FromEnv()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := ask(context.Background(), client, os.Args[1], strings.Join(os.Args[2:], " ")); err != nil {
		log.Fatal(err)
	}
}

func ask(ctx context.Context, client *runsvc.Client, thread, question string) error {
	created, err := client.CreateOrReject(ctx, &runsvcv1.CreateOrRejectRequest{Spec: &runsvcv1.RunSpec{
		ThreadId:    thread,
		AssistantId: proto.String("echo"),
		Kwargs:      &structpb.Struct{Fields: map[string]*structpb.Value{"input": structpb.NewStringValue(question)}},
	}})
	var failure *runsvc.Error
	if errors.Is(err, runsvc.ErrThreadBusy) && errors.As(err, &failure) {
		return fmt.Errorf("thread %s is busy with run %s; cancel it or wait", thread, failure.Metadata["run_id"])
	}
	if err != nil {
		return err
	}
	request := runsvc.Run(created.GetRun().GetRunId())
	request.IncludeProgress = true
	for event, err := range client.Watch(ctx, request) {
		if err != nil {
			return err
		}
		if run := event.GetRun(); run != nil {
			fmt.Println(run.GetRunId(), run.GetStatus(), run.GetProgress().GetLastAiMessage(), run.GetError())
		}
	}
	return nil
}
