package runsvc_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// pointerError is an error whose Error method panics on a nil pointer.
type pointerError struct{ text string }

func (e *pointerError) Error() string { return e.text }

// hostileError is an error whose Error method calls a function instead of returning a text.
type hostileError struct{ leave func() }

func (e hostileError) Error() string {
	e.leave()
	return ""
}

func (e hostileError) String() string { return e.Error() }

func TestFailureWithoutTextIsReported(t *testing.T) {
	var none *pointerError
	for name, failure := range map[string]error{
		"nil pointer": none,
		"empty":       &pointerError{},
		"panic":       hostileError{func() { panic("no text") }},
		"exit":        hostileError{runtime.Goexit},
		"block":       hostileError{func() { select {} }},
		"not UTF-8":   &pointerError{"\xff\xfe"},
	} {
		s := &server{finish: finished}
		done, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
			return usage, failure
		})
		report := s.last().(*runsvcv1.CompleteRequest)
		if err != nil || done.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_ERROR || !strings.Contains(report.GetError(), "Error, an error without text") || report.GetProgress().GetTotalTokens() != 7 {
			t.Error(name, done, err, report)
		}
	}
}

func TestPanicWithValueWithoutTextIsReportedAndGoesOn(t *testing.T) {
	for name, value := range map[string]hostileError{
		"panic": {func() { panic("no text") }},
		"exit":  {runtime.Goexit},
	} {
		s := &server{finish: finished}
		client := s.client(t)
		func() {
			defer func() {
				if _, same := recover().(hostileError); !same {
					t.Error(name, "the panic has another value")
				}
			}()
			_, _ = client.Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
				panic(value)
			})
		}()
		report := s.last().(*runsvcv1.CompleteRequest)
		if report.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_ERROR || report.GetError() == "" {
			t.Error(name, report)
		}
	}
}

func TestEndIsReportedWithoutUsageThatServerRejects(t *testing.T) {
	rejection := refusal(t, codes.InvalidArgument)
	negative := &runsvcv1.Progress{TotalTokens: proto.Int64(-1)}
	s := &server{
		finish: func(request *runsvcv1.CompleteRequest) (*runsvcv1.CompleteResponse, error) {
			if request.GetProgress() != nil {
				return nil, rejection
			}
			return finished(request)
		},
	}
	done, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
		return negative, nil
	})
	if done.GetStatus() != success || !errors.Is(err, runsvc.ErrInvalidArgument) {
		t.Fatal(done, err)
	}
}

func TestAcknowledgementIsSentWithoutUsageThatServerRejects(t *testing.T) {
	s := &server{
		stream: func(_ *runsvcv1.StreamStatusRequest, stream stream) error {
			return stream.Send(changed(interrupted, 3))
		},
		ack: func(request *runsvcv1.AcknowledgeCancelRequest) (*runsvcv1.AcknowledgeCancelResponse, error) {
			if request.GetProgress() != nil {
				return nil, refusal(t, codes.InvalidArgument)
			}
			return acknowledged(request)
		},
	}
	done, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, untilStopped)
	if done.GetStatus() != interrupted || !errors.Is(err, runsvc.ErrInvalidArgument) {
		t.Fatal(done, err)
	}
}

func TestUsageThatIsTooLargeEndsRunAsError(t *testing.T) {
	s := &server{finish: finished}
	large := &runsvcv1.Progress{LastAiMessage: proto.String(strings.Repeat("x", 4<<20))}
	done, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
		if _, err := execution.Report(ctx, large); err == nil {
			t.Error("Report accepts usage that is too large")
		}
		return large, nil
	})
	report := s.last().(*runsvcv1.CompleteRequest)
	if err != nil || done.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_ERROR || !strings.Contains(report.GetError(), "shorten") {
		t.Fatal(done, err, report.GetError())
	}
}
