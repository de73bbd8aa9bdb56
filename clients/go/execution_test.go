package runsvc_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

var (
	leased = runsvc.ExecuteOptions{WorkerID: "w", Lease: 30 * time.Millisecond}
	usage  = &runsvcv1.Progress{TotalTokens: proto.Int64(7)}
)

// untilStopped is a handler that runs until its context ends.
func untilStopped(ctx context.Context, _ *runsvc.Execution) (*runsvcv1.Progress, error) {
	<-ctx.Done()
	return usage, context.Cause(ctx)
}

func finished(request *runsvcv1.CompleteRequest) (*runsvcv1.CompleteResponse, error) {
	return &runsvcv1.CompleteResponse{Run: run(request.GetStatus(), 3)}, nil
}

func acknowledged(*runsvcv1.AcknowledgeCancelRequest) (*runsvcv1.AcknowledgeCancelResponse, error) {
	return &runsvcv1.AcknowledgeCancelResponse{Run: run(interrupted, 4)}, nil
}

// last returns the last report. It skips requests from the watch and the heartbeats, which arrive at any time.
func (s *server) last() (last proto.Message) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, request := range s.requests {
		switch request.(type) {
		case *runsvcv1.StreamStatusRequest, *runsvcv1.HeartbeatRequest:
		default:
			last = request
		}
	}
	return last
}

func TestExecuteReportsResultOfHandler(t *testing.T) {
	s := &server{finish: finished}
	client := s.client(t)
	done, err := client.Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
		return usage, nil
	})
	if report := s.last().(*runsvcv1.CompleteRequest); err != nil || done.GetStatus() != success || report.GetProgress().GetTotalTokens() != 7 {
		t.Fatal(done, err, report)
	}
	// The report must not fail because of the error's text.
	text := strings.Repeat("ü", 40_000) + "\xff"
	_, err = client.Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
		return nil, errors.New(text)
	})
	report := s.last().(*runsvcv1.CompleteRequest)
	if err != nil || report.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_ERROR || len(report.GetError()) != 64<<10 {
		t.Fatal(err, report.GetStatus(), len(report.GetError()))
	}
}

func TestProgressThatCannotBeEncodedEndsRunAsError(t *testing.T) {
	s := &server{finish: finished}
	client := s.client(t)
	broken := &runsvcv1.Progress{LastAiMessage: proto.String("\xff")}
	for name, handler := range map[string]runsvc.Handler{
		"reported": func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
			_, err := execution.Report(ctx, broken)
			return usage, err
		},
		"returned": func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) { return broken, nil },
	} {
		done, err := client.Execute(t.Context(), "r", runsvc.ExecuteOptions{}, handler)
		if report := s.last().(*runsvcv1.CompleteRequest); err != nil || done.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_ERROR || !strings.Contains(report.GetError(), "UTF-8") {
			t.Error(name, done, err, report)
		}
	}
}

func TestEndIsReportedAfterCallersContextEnded(t *testing.T) {
	s := &server{finish: finished}
	ctx, cancel := context.WithCancel(t.Context())
	client := s.client(t)
	done, err := client.Execute(ctx, "r", runsvc.ExecuteOptions{}, func(ctx context.Context, _ *runsvc.Execution) (*runsvcv1.Progress, error) {
		cancel()
		return nil, ctx.Err()
	})
	if err != nil || done.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_ERROR {
		t.Fatal(done, err)
	}
}

func TestCancelArrivesByWatchOrHeartbeat(t *testing.T) {
	servers := map[string]*server{
		"watch": {
			stream: func(_ *runsvcv1.StreamStatusRequest, stream stream) error {
				return stream.Send(changed(interrupted, 3))
			},
			beat: func() (*runsvcv1.HeartbeatResponse, error) { return nil, unavailable },
		},
		"heartbeat": {beat: func() (*runsvcv1.HeartbeatResponse, error) {
			return &runsvcv1.HeartbeatResponse{Run: run(interrupted, 3)}, nil
		}},
	}
	for name, s := range servers {
		s.ack = acknowledged
		options := runsvc.ExecuteOptions{WorkerID: "w", Lease: time.Second}
		var cause error
		done, err := s.client(t).Execute(t.Context(), "r", options, func(ctx context.Context, _ *runsvc.Execution) (*runsvcv1.Progress, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return usage, cause
		})
		report := s.last().(*runsvcv1.AcknowledgeCancelRequest)
		if err != nil || done.GetStatus() != interrupted || cause != runsvc.ErrCancelled || report.GetProgress().GetTotalTokens() != 7 {
			t.Error(name, done, err, cause, report)
		}
	}
}

func TestCancelDuringReportIsAcknowledged(t *testing.T) {
	late := &errdetails.ErrorInfo{Domain: "runsvc", Reason: "INVALID_TRANSITION", Metadata: map[string]string{"from": "INTERRUPTED"}}
	s := &server{ack: acknowledged, finish: func(*runsvcv1.CompleteRequest) (*runsvcv1.CompleteResponse, error) {
		return nil, refusal(t, codes.FailedPrecondition, late)
	}}
	done, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
		return nil, nil
	})
	if err != nil || done.GetStatus() != interrupted {
		t.Fatal(done, err)
	}
}

func TestAnswerToProgressStopsHandler(t *testing.T) {
	for cause, answer := range map[error]func() (*runsvcv1.UpdateProgressResponse, error){
		runsvc.ErrCancelled: func() (*runsvcv1.UpdateProgressResponse, error) {
			return &runsvcv1.UpdateProgressResponse{Run: run(interrupted, 3)}, nil
		},
		runsvc.ErrLost: func() (*runsvcv1.UpdateProgressResponse, error) { return nil, refusal(t, codes.NotFound) },
	} {
		s := &server{ack: acknowledged, update: func(*runsvcv1.UpdateProgressRequest) (*runsvcv1.UpdateProgressResponse, error) {
			return answer()
		}}
		_, _ = s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
			applied, err := execution.Report(ctx, usage)
			if applied || err != nil || context.Cause(ctx) != cause {
				t.Error(applied, err, context.Cause(ctx))
			}
			return nil, nil
		})
	}
}

func TestReportReturnsRejection(t *testing.T) {
	s := &server{finish: finished, update: func(*runsvcv1.UpdateProgressRequest) (*runsvcv1.UpdateProgressResponse, error) {
		return nil, refusal(t, codes.InvalidArgument)
	}}
	done, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
		_, err := execution.Report(ctx, usage)
		return nil, err
	})
	report := s.last().(*runsvcv1.CompleteRequest)
	// Rejected progress is not sent again.
	if err != nil || done.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_ERROR || report.GetProgress() != nil {
		t.Fatal(done, err, report)
	}
}

func TestHandlerContinuesWithoutServerForLongerThanLease(t *testing.T) {
	const missed = 9
	beats, unavailableOnce := make(chan struct{}, 1_000), true
	s := &server{
		beat: func() (*runsvcv1.HeartbeatResponse, error) {
			beats <- struct{}{}
			return nil, unavailable
		},
		update: func(*runsvcv1.UpdateProgressRequest) (*runsvcv1.UpdateProgressResponse, error) {
			return nil, unavailable
		},
		finish: func(request *runsvcv1.CompleteRequest) (*runsvcv1.CompleteResponse, error) {
			if unavailableOnce {
				unavailableOnce = false
				return nil, refusal(t, codes.DeadlineExceeded)
			}
			return finished(request)
		},
		// A watch that the server rejects does not stop the handler either.
		stream: func(request *runsvcv1.StreamStatusRequest, stream stream) error {
			if request.AfterRevision != nil {
				return refusal(t, codes.OutOfRange)
			}
			return refusal(t, codes.PermissionDenied)
		},
	}
	done, err := s.client(t).Execute(t.Context(), "r", leased, func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
		applied, err := execution.Report(ctx, usage)
		if applied || err != nil {
			t.Error(applied, err)
		}
		for range missed {
			select {
			case <-beats:
			case <-ctx.Done():
				t.Error(context.Cause(ctx))
			}
		}
		return &runsvcv1.Progress{LlmCallCount: proto.Int64(1)}, ctx.Err()
	})
	if err != nil || done.GetStatus() != success {
		t.Fatal(done, err)
	}
	// The report of the end includes the progress that failed.
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, request := range s.requests {
		if report, ok := request.(*runsvcv1.CompleteRequest); ok && (report.GetProgress().GetTotalTokens() != 7 || report.GetProgress().GetLlmCallCount() != 1) {
			t.Error(report)
		}
	}
}

func TestEndOfRunFoundByReportIsErrLost(t *testing.T) {
	ended := &errdetails.ErrorInfo{Domain: "runsvc", Reason: "INVALID_TRANSITION", Metadata: map[string]string{"from": "TIMEOUT"}}
	s := &server{finish: func(*runsvcv1.CompleteRequest) (*runsvcv1.CompleteResponse, error) {
		return nil, refusal(t, codes.FailedPrecondition, ended)
	}}
	_, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
		return nil, nil
	})
	if !errors.Is(err, runsvc.ErrLost) || !errors.Is(err, runsvc.ErrFailedPrecondition) {
		t.Fatal(err)
	}
}

func TestLeaseOfCreationIsRenewed(t *testing.T) {
	beats := make(chan struct{}, 1_000)
	s := &server{finish: finished, lease: &runsvcv1.Lease{Ttl: durationpb.New(leased.Lease)}, beat: func() (*runsvcv1.HeartbeatResponse, error) {
		beats <- struct{}{}
		return nil, unavailable
	}}
	_, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{WorkerID: "w"}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
		<-beats
		<-beats
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPanicAndGoexitOfHandlerAreReported(t *testing.T) {
	for text, leave := range map[string]func(){
		"panic: gone wrong":                    func() { panic("gone wrong") },
		"the handler exited without returning": runtime.Goexit,
	} {
		s := &server{finish: finished}
		client, done := s.client(t), make(chan any)
		go func() {
			defer func() { done <- recover() }()
			_, _ = client.Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
				_, _ = execution.Report(ctx, usage)
				leave()
				return nil, nil
			})
			t.Error("Execute returned")
		}()
		panicked := <-done
		report := s.last().(*runsvcv1.CompleteRequest)
		if report.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_ERROR || report.GetError() != text || report.GetProgress().GetTotalTokens() != 7 {
			t.Error(report)
		}
		if text == "panic: gone wrong" && panicked != "gone wrong" {
			t.Error(panicked)
		}
	}
}

func TestUsageOfLostRunIsSentAsFinal(t *testing.T) {
	s := &server{beat: func() (*runsvcv1.HeartbeatResponse, error) {
		return &runsvcv1.HeartbeatResponse{Run: run(runsvcv1.RunStatus_RUN_STATUS_TIMEOUT, 3)}, nil
	}}
	if _, err := s.client(t).Execute(t.Context(), "r", leased, untilStopped); !errors.Is(err, runsvc.ErrLost) {
		t.Fatal(err)
	}
	report, ok := s.last().(*runsvcv1.UpdateProgressRequest)
	if !ok || !report.GetFinal() || report.GetProgress().GetTotalTokens() != 7 || report.GetWorkerId() != "w" {
		t.Fatal(s.last())
	}
}

func TestAnswerToHeartbeatStopsHandler(t *testing.T) {
	holder := &errdetails.ErrorInfo{Domain: "runsvc", Reason: "NOT_HOLDER"}
	for name, beat := range map[string]func() (*runsvcv1.HeartbeatResponse, error){
		"held by another executor": func() (*runsvcv1.HeartbeatResponse, error) {
			return nil, refusal(t, codes.FailedPrecondition, holder)
		},
		"removed": func() (*runsvcv1.HeartbeatResponse, error) { return nil, refusal(t, codes.NotFound) },
		"ended": func() (*runsvcv1.HeartbeatResponse, error) {
			return &runsvcv1.HeartbeatResponse{Run: run(success, 3)}, nil
		},
	} {
		s := &server{beat: beat}
		if _, err := s.client(t).Execute(t.Context(), "r", leased, untilStopped); !errors.Is(err, runsvc.ErrLost) {
			t.Error(name, err)
		}
	}
}
