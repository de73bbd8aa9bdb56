package runsvc_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

func TestHandlerHasInput(t *testing.T) {
	failures := []error{unavailable, refusal(t, codes.DeadlineExceeded)}
	s := &server{finish: finished, get: func(context.Context) (*runsvcv1.GetResponse, error) {
		if len(failures) > 0 {
			failure := failures[0]
			failures = failures[1:]
			return nil, failure
		}
		found := run(running, 3)
		found.Kwargs = &structpb.Struct{Fields: map[string]*structpb.Value{"input": structpb.NewStringValue("hello")}}
		return &runsvcv1.GetResponse{Run: found}, nil
	}}
	done, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(_ context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
		if input := execution.Run.GetKwargs().GetFields()["input"].GetStringValue(); input != "hello" || execution.Run.GetRevision() != 2 {
			t.Error(execution.Run)
		}
		return nil, nil
	})
	if err != nil || done.GetStatus() != success {
		t.Fatal(done, err)
	}
}

func TestRunWithUnreadableInputEnds(t *testing.T) {
	never := func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
		t.Error("the handler was called")
		return nil, nil
	}
	s := &server{finish: finished, get: func(context.Context) (*runsvcv1.GetResponse, error) { return nil, refusal(t, codes.PermissionDenied) }}
	done, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, never)
	report := s.last().(*runsvcv1.CompleteRequest)
	if err != nil || done.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_ERROR || !strings.HasPrefix(report.GetError(), "cannot read the input") {
		t.Fatal(done, err, report)
	}
	removed := &server{get: func(context.Context) (*runsvcv1.GetResponse, error) { return nil, refusal(t, codes.NotFound) }}
	if _, err := removed.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, never); !errors.Is(err, runsvc.ErrLost) {
		t.Fatal(err)
	}
}

func TestCancelEndsWaitForInput(t *testing.T) {
	s := &server{
		ack: acknowledged,
		get: func(ctx context.Context) (*runsvcv1.GetResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		stream: func(_ *runsvcv1.StreamStatusRequest, stream stream) error {
			return stream.Send(changed(interrupted, 3))
		},
	}
	done, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, untilStopped)
	if err != nil || done.GetStatus() != interrupted {
		t.Fatal(done, err)
	}
}
