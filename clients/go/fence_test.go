package runsvc_test

import (
	"context"
	"testing"
	"time"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

func TestFenceStopsHandlerWhenLeaseMayBeOver(t *testing.T) {
	const lease = 900 * time.Millisecond
	confirmed := 3
	s := &server{finish: finished}
	s.beat = func() (*runsvcv1.HeartbeatResponse, error) {
		if confirmed--; confirmed < 0 {
			return nil, unavailable
		}
		return &runsvcv1.HeartbeatResponse{Run: run(running, 2)}, nil
	}
	options := runsvc.ExecuteOptions{WorkerID: "w", Lease: lease, Fence: true}
	began := time.Now()
	var cause error
	done, err := s.client(t).Execute(t.Context(), "r", options, func(ctx context.Context, _ *runsvc.Execution) (*runsvcv1.Progress, error) {
		<-ctx.Done()
		cause = context.Cause(ctx)
		return usage, cause
	})
	// The first heartbeats renew the lease.
	if lasted := time.Since(began); cause != runsvc.ErrFenced || lasted <= lease+lease/4 {
		t.Error(cause, lasted)
	}
	report := s.last().(*runsvcv1.CompleteRequest)
	if err != nil || done.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_ERROR || report.GetError() != runsvc.ErrFenced.Error() || report.GetProgress().GetTotalTokens() != 7 {
		t.Error(done, err, report)
	}
}

func TestFenceCountsFromStart(t *testing.T) {
	s := &server{finish: finished, beat: func() (*runsvcv1.HeartbeatResponse, error) { return nil, unavailable }}
	options := runsvc.ExecuteOptions{WorkerID: "w", Lease: 100 * time.Millisecond, Fence: true}
	_, err := s.client(t).Execute(t.Context(), "r", options, untilStopped)
	if err != nil {
		t.Fatal(err)
	}
}

func TestRenewedLeaseKeepsFenceAway(t *testing.T) {
	const lease = 2 * time.Second
	s := &server{finish: finished, beat: func() (*runsvcv1.HeartbeatResponse, error) {
		return &runsvcv1.HeartbeatResponse{Run: run(running, 2)}, nil
	}}
	options := runsvc.ExecuteOptions{WorkerID: "w", Lease: lease, Fence: true}
	done, err := s.client(t).Execute(t.Context(), "r", options, func(ctx context.Context, _ *runsvc.Execution) (*runsvcv1.Progress, error) {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(3 * lease / 2):
			return nil, nil
		}
	})
	if err != nil || done.GetStatus() != success {
		t.Fatal(done, err)
	}
}
