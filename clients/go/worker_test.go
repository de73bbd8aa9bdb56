package runsvc_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// claimed returns a run as a claim hands it out.
func claimed(runID string) *runsvcv1.Run {
	return &runsvcv1.Run{RunId: runID, Status: running, Revision: 2, Attempt: 3}
}

// handsOut returns a server that answers claims with these runs, each in an answer of its own, and then waits.
func handsOut(runIDs ...string) *server {
	s := &server{finish: finished, ack: acknowledged}
	s.claim = func(ctx context.Context, _ *runsvcv1.ClaimRequest) (*runsvcv1.ClaimResponse, error) {
		if len(runIDs) == 0 {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		next := runIDs[0]
		runIDs = runIDs[1:]
		return &runsvcv1.ClaimResponse{Runs: []*runsvcv1.Run{claimed(next)}}, nil
	}
	return s
}

// requestsOf returns the requests of a type, in order.
func requestsOf[Q proto.Message](s *server) (found []Q) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, request := range s.requests {
		if typed, ok := request.(Q); ok {
			found = append(found, typed)
		}
	}
	return found
}

// ended is the result of a run of a worker.
type ended struct {
	run *runsvcv1.Run
	err error
}

// startWorker starts a worker. The functions that it returns wait for the end of a run, and stop the worker.
func startWorker(t *testing.T, s *server, options runsvc.WorkerOptions, handler runsvc.Handler) (*runsvc.Worker, func() ended, func() error) {
	t.Helper()
	ends := make(chan ended, 10)
	options.AnyAssistant = len(options.Assistants) == 0
	options.Ended = func(run *runsvcv1.Run, err error) { ends <- ended{run, err} }
	worker, err := s.client(t).Worker(options, handler)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- worker.Run(ctx) }()
	return worker, func() ended { return <-ends }, func() error {
		stop()
		return <-result
	}
}

func TestWorkerPerformsWhatItClaims(t *testing.T) {
	s := handsOut("r1", "r2")
	options := runsvc.WorkerOptions{Assistants: []string{"support"}, WorkerID: "w", Lease: 40 * time.Second}
	worker, wait, stop := startWorker(t, s, options, func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
		_, err := execution.Report(ctx, usage)
		return nil, errors.Join(err, runsvc.Retryable(errors.New("busy")))
	})
	wait()
	wait()
	if err := stop(); err != nil || worker.Health().State != runsvc.WorkerStopped {
		t.Fatal(err, worker.Health())
	}
	claims := requestsOf[*runsvcv1.ClaimRequest](s)
	first := claims[0]
	if first.GetWorkerId() != "w" || !slices.Equal(first.GetAssistantIds(), []string{"support"}) || first.GetMaxRuns() != 1 || first.GetLeaseTtl().GetSeconds() != 40 || first.GetWait().AsDuration() != 0 {
		t.Error(first)
	}
	if claims[1].GetWait().GetSeconds() != 20 || claims[1].GetRequestId() == first.GetRequestId() {
		t.Error(claims[1])
	}
	reports := requestsOf[*runsvcv1.CompleteRequest](s)
	if report := reports[0]; len(reports) != 2 || report.GetAttempt() != 3 || !report.GetRetryable() || report.GetError() != "busy" || report.GetProgress().GetTotalTokens() != 7 {
		t.Error(reports)
	}
	if progress := requestsOf[*runsvcv1.UpdateProgressRequest](s); progress[0].GetAttempt() != 3 {
		t.Error(progress)
	}
	if reads := requestsOf[*runsvcv1.GetRequest](s); len(reads) > 0 {
		t.Error("the input was at hand, and yet the worker read it")
	}
}

func TestClaimIsRepeatedWithItsIDThroughOutages(t *testing.T) {
	s := handsOut("r")
	answer := s.claim
	failures := []error{status.Error(codes.Internal, "lost"), status.Error(codes.Unauthenticated, "expired"), overloaded(t, time.Millisecond)}
	s.claim = func(ctx context.Context, request *runsvcv1.ClaimRequest) (*runsvcv1.ClaimResponse, error) {
		if len(failures) > 0 {
			failure := failures[0]
			failures = failures[1:]
			return nil, failure
		}
		return answer(ctx, request)
	}
	_, wait, stop := startWorker(t, s, runsvc.WorkerOptions{}, produces(nil, "", nil))
	if end := wait(); end.err != nil || end.run.GetStatus() != success {
		t.Fatal(end)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	claims := requestsOf[*runsvcv1.ClaimRequest](s)
	for _, claim := range claims[:4] {
		if claim.GetRequestId() != claims[0].GetRequestId() || claim.GetRequestId() == "" || !claim.GetAnyAssistant() {
			t.Error(claim)
		}
	}
}

func TestRejectedClaimStopsWorker(t *testing.T) {
	s := &server{claim: func(context.Context, *runsvcv1.ClaimRequest) (*runsvcv1.ClaimResponse, error) {
		return nil, status.Error(codes.PermissionDenied, "no")
	}}
	worker, _, stop := startWorker(t, s, runsvc.WorkerOptions{}, produces(nil, "", nil))
	for worker.Health().State != runsvc.WorkerStopped {
		time.Sleep(time.Millisecond)
	}
	if err := stop(); status.Code(err) != codes.PermissionDenied {
		t.Fatal(err)
	}
}

func TestPanicEndsItsRunOnly(t *testing.T) {
	s := handsOut("r1", "r2")
	_, wait, stop := startWorker(t, s, runsvc.WorkerOptions{}, func(_ context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
		if execution.Run.GetRunId() == "r1" {
			panic("kaputt")
		}
		return nil, nil
	})
	if end := wait(); end.run.GetRunId() != "r1" || end.err == nil || !strings.Contains(end.err.Error(), "kaputt") {
		t.Error(end)
	}
	if end := wait(); end.err != nil || end.run.GetStatus() != success {
		t.Error(end)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// silentValue never returns its text.
type silentValue struct{}

func (silentValue) Error() string { select {} }

func TestHandlerThatDoesNotReturnEndsItsRunOnly(t *testing.T) {
	handlers := map[string]func(){
		"the handler exited without returning": runtime.Goexit,
		"panic: runsvc_test.silentValue":       func() { panic(silentValue{}) },
	}
	for text, end := range handlers {
		s := handsOut("r1", "r2")
		worker, wait, stop := startWorker(t, s, runsvc.WorkerOptions{}, func(_ context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
			if execution.Run.GetRunId() == "r1" {
				end()
			}
			return nil, nil
		})
		first, second := wait(), wait()
		if first.run.GetRunId() != "r1" || first.err == nil || !strings.Contains(first.err.Error(), text) || second.err != nil {
			t.Errorf("%s: %v, %v; %v", text, first.run, first.err, second.err)
		}
		if reports := requestsOf[*runsvcv1.CompleteRequest](s); !strings.HasPrefix(reports[0].GetError(), text) {
			t.Errorf("reported %v", reports)
		}
		if err := stop(); err != nil || worker.Health().Running != 0 {
			t.Errorf("%v, %+v", err, worker.Health())
		}
	}
}

func TestStopLetsRunsEndWithinGrace(t *testing.T) {
	s := handsOut("r")
	begun, finish := make(chan struct{}), make(chan struct{})
	worker, wait, stop := startWorker(t, s, runsvc.WorkerOptions{}, func(ctx context.Context, _ *runsvc.Execution) (*runsvcv1.Progress, error) {
		close(begun)
		<-finish
		return nil, ctx.Err()
	})
	<-begun
	go func() {
		for worker.Health().State != runsvc.WorkerDraining {
			time.Sleep(time.Millisecond)
		}
		close(finish)
	}()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if end := wait(); end.err != nil || end.run.GetStatus() != success {
		t.Fatal(end)
	}
}

func TestStopGivesRunsBackAfterGrace(t *testing.T) {
	s := handsOut("r")
	begun := make(chan struct{})
	_, wait, stop := startWorker(t, s, runsvc.WorkerOptions{Grace: -1, WorkerID: "w"}, func(ctx context.Context, _ *runsvc.Execution) (*runsvcv1.Progress, error) {
		close(begun)
		<-ctx.Done()
		return usage, context.Cause(ctx)
	})
	<-begun
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if end := wait(); end.err != nil || end.run.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_PENDING {
		t.Error(end)
	}
	released := requestsOf[*runsvcv1.ReleaseRequest](s)
	if len(released) != 1 || released[0].GetRunId() != "r" || released[0].GetWorkerId() != "w" || released[0].GetAttempt() != 3 {
		t.Error(released)
	}
	if spent := requestsOf[*runsvcv1.UpdateProgressRequest](s); len(spent) != 1 || spent[0].GetProgress().GetTotalTokens() != 7 || spent[0].GetFinal() {
		t.Error(spent)
	}
	if len(requestsOf[*runsvcv1.CompleteRequest](s)) > 0 {
		t.Error("a run that is given back was reported as ended")
	}
}

func TestRunThatWasTakenAwayIsLost(t *testing.T) {
	pending := changed(runsvcv1.RunStatus_RUN_STATUS_PENDING, 3)
	elsewhere := changed(running, 4)
	elsewhere.Run.Attempt = 4
	for _, event := range []*runsvcv1.StreamStatusResponse{pending, elsewhere} {
		s := handsOut("r")
		s.stream = func(_ *runsvcv1.StreamStatusRequest, stream stream) error { return stream.Send(event) }
		_, wait, stop := startWorker(t, s, runsvc.WorkerOptions{}, untilStopped)
		if end := wait(); !errors.Is(end.err, runsvc.ErrLost) {
			t.Error(end)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestClaimHasDeadlineAfterItsWait(t *testing.T) {
	for _, timeout := range []time.Duration{time.Second, 1<<63 - 1} {
		var left time.Duration
		s := &server{claim: func(ctx context.Context, _ *runsvcv1.ClaimRequest) (*runsvcv1.ClaimResponse, error) {
			deadline, _ := ctx.Deadline()
			left = time.Until(deadline)
			return &runsvcv1.ClaimResponse{}, nil
		}}
		if _, err := s.client(t, runsvc.WithTimeout(timeout)).Claim(t.Context(), &runsvcv1.ClaimRequest{}); err != nil || left < 20*time.Second {
			t.Error(timeout, left, err)
		}
	}
}

func TestInvalidOptionsOfWorker(t *testing.T) {
	client := (&server{}).client(t)
	for _, options := range []runsvc.WorkerOptions{{}, {AnyAssistant: true, Assistants: []string{"a"}}, {AnyAssistant: true, Concurrency: -1}} {
		if _, err := client.Worker(options, untilStopped); err == nil {
			t.Error(options)
		}
	}
}
