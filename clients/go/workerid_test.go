package runsvc_test

import (
	"context"
	"regexp"
	"testing"
	"time"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// identifier matches the ids that a server accepts.
var identifier = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$`)

func TestWorkerIDsDifferByDefault(t *testing.T) {
	ids := map[string]bool{}
	for range 2 {
		s := &server{finish: finished}
		options := runsvc.ExecuteOptions{Lease: time.Minute}
		_, err := s.client(t).Execute(t.Context(), "r", options, func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
			_, err := execution.Report(ctx, usage)
			return nil, err
		})
		if err != nil {
			t.Fatal(err)
		}
		started, report := s.started(), s.last().(*runsvcv1.CompleteRequest)
		if !identifier.MatchString(started.GetWorkerId()) || report.GetWorkerId() != started.GetWorkerId() {
			t.Error(started, report)
		}
		ids[started.GetWorkerId()] = true
	}
	if len(ids) != 2 {
		t.Error("two executions have one worker id", ids)
	}
}

func TestExecutionWithoutHolderSendsNoWorkerID(t *testing.T) {
	s := &server{finish: finished}
	_, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{WithoutHolder: true}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
		return nil, nil
	})
	if err != nil || s.started().WorkerId != nil || s.last().(*runsvcv1.CompleteRequest).WorkerId != nil {
		t.Fatal(err, s.requests)
	}
}
