package runsvc_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

func answerOf(text string) *structpb.Struct {
	return &structpb.Struct{Fields: map[string]*structpb.Value{"answer": structpb.NewStringValue(text)}}
}

// produces returns a handler that sets an outcome and returns the failure.
func produces(result *structpb.Struct, reason string, failure error) runsvc.Handler {
	return func(_ context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
		execution.SetResult(result)
		execution.SetStopReason(reason)
		return usage, failure
	}
}

func TestResultAndStopReasonAreReported(t *testing.T) {
	s := &server{finish: finished}
	client := s.client(t)
	for _, failure := range []error{nil, errors.New("boom")} {
		if _, err := client.Execute(t.Context(), "r", runsvc.ExecuteOptions{}, produces(answerOf("yes"), "done\xff", failure)); err != nil {
			t.Fatal(err)
		}
		report := s.last().(*runsvcv1.CompleteRequest)
		if report.GetStopReason() != "done\uFFFD" || (report.GetResult() != nil) != (failure == nil) {
			t.Fatal(report)
		}
	}
}

func TestStopReasonGoesWithTheAcknowledgementOfACancel(t *testing.T) {
	s := &server{
		stream: func(_ *runsvcv1.StreamStatusRequest, stream stream) error {
			return stream.Send(changed(interrupted, 3))
		},
		ack: acknowledged,
	}
	_, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
		execution.SetStopReason("user_left")
		return untilStopped(ctx, execution)
	})
	if report := s.last().(*runsvcv1.AcknowledgeCancelRequest); err != nil || report.GetStopReason() != "user_left" {
		t.Fatal(err, report)
	}
}

func TestEndIsReportedWithoutContentsThatServerRejects(t *testing.T) {
	s := &server{}
	s.finish = func(request *runsvcv1.CompleteRequest) (*runsvcv1.CompleteResponse, error) {
		s.finish = finished
		return nil, refusal(t, codes.InvalidArgument)
	}
	done, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, produces(answerOf("yes"), "done", nil))
	report := s.last().(*runsvcv1.CompleteRequest)
	if !errors.Is(err, runsvc.ErrInvalidArgument) || done.GetStatus() != success || report.Result != nil || report.StopReason != nil || report.Progress != nil {
		t.Error(done, err, report)
	}
}

func TestEndIsReportedWithoutResultThatCannotBeSent(t *testing.T) {
	for name, result := range map[string]*structpb.Struct{
		"too large": answerOf(strings.Repeat("x", 4<<20)), "not UTF-8": answerOf("\xff"),
	} {
		s := &server{finish: finished}
		done, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, produces(result, "done", nil))
		report := s.last().(*runsvcv1.CompleteRequest)
		if !errors.Is(err, runsvc.ErrInvalidArgument) || done.GetStatus() != success || report.GetResult() != nil {
			t.Error(name, done, err, report)
		}
	}
}

func TestUsageIsMergedByModelAndField(t *testing.T) {
	s := &server{finish: finished}
	of := func(model string, usage *runsvcv1.ModelUsage) *runsvcv1.Progress {
		return &runsvcv1.Progress{ByModel: map[string]*runsvcv1.ModelUsage{model: usage}}
	}
	_, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
		for _, part := range []*runsvcv1.Progress{of("a", &runsvcv1.ModelUsage{InputTokens: proto.Int64(1)}), of("b", &runsvcv1.ModelUsage{Calls: proto.Int64(2)}), usage} {
			if _, err := execution.Report(ctx, part); err != nil {
				t.Error(err)
			}
		}
		return of("a", &runsvcv1.ModelUsage{OutputTokens: proto.Int64(3)}), nil
	})
	got := s.last().(*runsvcv1.CompleteRequest).GetProgress()
	want := &runsvcv1.Progress{TotalTokens: usage.TotalTokens, ByModel: map[string]*runsvcv1.ModelUsage{
		"a": {InputTokens: proto.Int64(1), OutputTokens: proto.Int64(3)}, "b": {Calls: proto.Int64(2)},
	}}
	if err != nil || !proto.Equal(got, want) {
		t.Fatal(err, got)
	}
}
