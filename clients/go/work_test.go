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
	worker = runsvc.Worker{ID: "w", Lease: 30 * time.Millisecond}
	usage  = &runsvcv1.Progress{TotalTokens: proto.Int64(7)}
)

// untilStopped is the work of a run that others end.
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

// last is the last report. The watch and the heartbeats beside it come when they come.
func (s *server) last() (last proto.Message) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, asked := range s.asked {
		switch asked.(type) {
		case *runsvcv1.StreamStatusRequest, *runsvcv1.HeartbeatRequest:
		default:
			last = asked
		}
	}
	return last
}

func TestWorkReportsWhatTheFunctionReturned(t *testing.T) {
	s := &server{finish: finished}
	client := s.client(t)
	done, err := client.Work(t.Context(), "r", runsvc.Worker{}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
		return usage, nil
	})
	if report := s.last().(*runsvcv1.CompleteRequest); err != nil || done.GetStatus() != success || report.GetProgress().GetTotalTokens() != 7 {
		t.Fatal(done, err, report)
	}
	// A text that the server would refuse must not cost the report.
	text := strings.Repeat("ü", 10_000) + "\xff"
	_, err = client.Work(t.Context(), "r", runsvc.Worker{}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
		return nil, errors.New(text)
	})
	report := s.last().(*runsvcv1.CompleteRequest)
	if err != nil || report.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_ERROR || len(report.GetError()) != 16<<10 {
		t.Fatal(err, report.GetStatus(), len(report.GetError()))
	}
}

func TestUsageThatCannotBeSentIsTheFunctionsError(t *testing.T) {
	s := &server{finish: finished}
	client := s.client(t)
	broken := &runsvcv1.Progress{LastAiMessage: proto.String("\xff")}
	for name, execute := range map[string]runsvc.Execute{
		"reported": func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
			_, err := execution.Report(ctx, broken)
			return usage, err
		},
		"returned": func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) { return broken, nil },
	} {
		done, err := client.Work(t.Context(), "r", runsvc.Worker{}, execute)
		if report := s.last().(*runsvcv1.CompleteRequest); err != nil || done.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_ERROR || !strings.Contains(report.GetError(), "UTF-8") {
			t.Error(name, done, err, report)
		}
	}
}

func TestAReportIsDueAlsoAfterTheCallersContextEnded(t *testing.T) {
	s := &server{finish: finished}
	ctx, cancel := context.WithCancel(t.Context())
	client := s.client(t)
	done, err := client.Work(ctx, "r", runsvc.Worker{}, func(ctx context.Context, _ *runsvc.Execution) (*runsvcv1.Progress, error) {
		cancel()
		return nil, ctx.Err()
	})
	if err != nil || done.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_ERROR {
		t.Fatal(done, err)
	}
}

func TestACancelIsSeenInTheWatchOrInAHeartbeat(t *testing.T) {
	told := map[string]*server{
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
	for name, s := range told {
		s.ack = acknowledged
		worker := runsvc.Worker{ID: "w", Lease: time.Second}
		var cause error
		done, err := s.client(t).Work(t.Context(), "r", worker, func(ctx context.Context, _ *runsvc.Execution) (*runsvcv1.Progress, error) {
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

func TestACancelThatCameWithTheReportIsAcknowledged(t *testing.T) {
	late := &errdetails.ErrorInfo{Domain: "runsvc", Reason: "INVALID_TRANSITION", Metadata: map[string]string{"from": "INTERRUPTED"}}
	s := &server{ack: acknowledged, finish: func(*runsvcv1.CompleteRequest) (*runsvcv1.CompleteResponse, error) {
		return nil, refusal(t, codes.FailedPrecondition, late)
	}}
	done, err := s.client(t).Work(t.Context(), "r", runsvc.Worker{}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
		return nil, nil
	})
	if err != nil || done.GetStatus() != interrupted {
		t.Fatal(done, err)
	}
}

func TestTheAnswerToAReportTellsOfTheEnd(t *testing.T) {
	for cause, answer := range map[error]func() (*runsvcv1.UpdateProgressResponse, error){
		runsvc.ErrCancelled: func() (*runsvcv1.UpdateProgressResponse, error) {
			return &runsvcv1.UpdateProgressResponse{Run: run(interrupted, 3)}, nil
		},
		runsvc.ErrLost: func() (*runsvcv1.UpdateProgressResponse, error) { return nil, refusal(t, codes.NotFound) },
	} {
		s := &server{ack: acknowledged, update: func(*runsvcv1.UpdateProgressRequest) (*runsvcv1.UpdateProgressResponse, error) {
			return answer()
		}}
		_, _ = s.client(t).Work(t.Context(), "r", runsvc.Worker{}, func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
			applied, err := execution.Report(ctx, usage)
			if applied || err != nil || context.Cause(ctx) != cause {
				t.Error(applied, err, context.Cause(ctx))
			}
			return nil, nil
		})
	}
}

func TestAReportThatIsRefusedIsTheFunctionsError(t *testing.T) {
	s := &server{finish: finished, update: func(*runsvcv1.UpdateProgressRequest) (*runsvcv1.UpdateProgressResponse, error) {
		return nil, refusal(t, codes.InvalidArgument)
	}}
	done, err := s.client(t).Work(t.Context(), "r", runsvc.Worker{}, func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
		_, err := execution.Report(ctx, usage)
		return nil, err
	})
	report := s.last().(*runsvcv1.CompleteRequest)
	// What the server does not take is not told again.
	if err != nil || done.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_ERROR || report.GetProgress() != nil {
		t.Fatal(done, err, report)
	}
}

func TestWorkGoesOnWhileItsServerIsAwayForLongerThanTheLease(t *testing.T) {
	const missed = 9
	beats, away := make(chan struct{}, 1_000), true
	s := &server{
		beat: func() (*runsvcv1.HeartbeatResponse, error) {
			beats <- struct{}{}
			return nil, unavailable
		},
		update: func(*runsvcv1.UpdateProgressRequest) (*runsvcv1.UpdateProgressResponse, error) {
			return nil, unavailable
		},
		finish: func(request *runsvcv1.CompleteRequest) (*runsvcv1.CompleteResponse, error) {
			if away {
				away = false
				return nil, refusal(t, codes.DeadlineExceeded)
			}
			return finished(request)
		},
		// Neither is it an answer that the watch may not be had now, or from there on.
		stream: func(request *runsvcv1.StreamStatusRequest, stream stream) error {
			if request.AfterRevision != nil {
				return refusal(t, codes.OutOfRange)
			}
			return refusal(t, codes.PermissionDenied)
		},
	}
	done, err := s.client(t).Work(t.Context(), "r", worker, func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
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
	// The report that nobody took is made up for.
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, asked := range s.asked {
		if report, ok := asked.(*runsvcv1.CompleteRequest); ok && (report.GetProgress().GetTotalTokens() != 7 || report.GetProgress().GetLlmCallCount() != 1) {
			t.Error(report)
		}
	}
}

func TestAReportThatFindsTheRunTakenAwayIsLost(t *testing.T) {
	ended := &errdetails.ErrorInfo{Domain: "runsvc", Reason: "INVALID_TRANSITION", Metadata: map[string]string{"from": "TIMEOUT"}}
	s := &server{finish: func(*runsvcv1.CompleteRequest) (*runsvcv1.CompleteResponse, error) {
		return nil, refusal(t, codes.FailedPrecondition, ended)
	}}
	_, err := s.client(t).Work(t.Context(), "r", runsvc.Worker{}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
		return nil, nil
	})
	if !errors.Is(err, runsvc.ErrLost) || !errors.Is(err, runsvc.ErrFailedPrecondition) {
		t.Fatal(err)
	}
}

func TestALeaseThatWasPromisedAtCreationIsKept(t *testing.T) {
	beats := make(chan struct{}, 1_000)
	s := &server{finish: finished, lease: &runsvcv1.Lease{Ttl: durationpb.New(worker.Lease)}, beat: func() (*runsvcv1.HeartbeatResponse, error) {
		beats <- struct{}{}
		return nil, unavailable
	}}
	_, err := s.client(t).Work(t.Context(), "r", runsvc.Worker{ID: "w"}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
		<-beats
		<-beats
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFunctionThatDoesNotReturnIsReported(t *testing.T) {
	for text, leave := range map[string]func(){
		"panic: gone wrong":                             func() { panic("gone wrong") },
		"the work was stopped before the run had ended": runtime.Goexit,
	} {
		s := &server{finish: finished}
		client, done := s.client(t), make(chan any)
		go func() {
			defer func() { done <- recover() }()
			_, _ = client.Work(t.Context(), "r", runsvc.Worker{}, func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
				_, _ = execution.Report(ctx, usage)
				leave()
				return nil, nil
			})
			t.Error("it returned")
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

func TestWhatALostRunCostIsToldOnce(t *testing.T) {
	s := &server{beat: func() (*runsvcv1.HeartbeatResponse, error) {
		return &runsvcv1.HeartbeatResponse{Run: run(runsvcv1.RunStatus_RUN_STATUS_TIMEOUT, 3)}, nil
	}}
	if _, err := s.client(t).Work(t.Context(), "r", worker, untilStopped); !errors.Is(err, runsvc.ErrLost) {
		t.Fatal(err)
	}
	report, ok := s.last().(*runsvcv1.UpdateProgressRequest)
	if !ok || !report.GetFinal() || report.GetProgress().GetTotalTokens() != 7 || report.GetWorkerId() != "w" {
		t.Fatal(s.last())
	}
}

func TestALeaseThatIsLostStopsTheFunction(t *testing.T) {
	holder := &errdetails.ErrorInfo{Domain: "runsvc", Reason: "NOT_HOLDER"}
	for name, beat := range map[string]func() (*runsvcv1.HeartbeatResponse, error){
		"another's": func() (*runsvcv1.HeartbeatResponse, error) {
			return nil, refusal(t, codes.FailedPrecondition, holder)
		},
		"removed": func() (*runsvcv1.HeartbeatResponse, error) { return nil, refusal(t, codes.NotFound) },
		"ended": func() (*runsvcv1.HeartbeatResponse, error) {
			return &runsvcv1.HeartbeatResponse{Run: run(success, 3)}, nil
		},
	} {
		s := &server{beat: beat}
		if _, err := s.client(t).Work(t.Context(), "r", worker, untilStopped); !errors.Is(err, runsvc.ErrLost) {
			t.Error(name, err)
		}
	}
}
