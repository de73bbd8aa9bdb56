package runsvc_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

const (
	longest  = time.Duration(math.MaxInt64)
	shortest = time.Duration(math.MinInt64)
)

func TestTimeoutMustBePositive(t *testing.T) {
	for _, timeout := range []time.Duration{0, -1, shortest} {
		if _, err := runsvc.New("127.0.0.1:1", runsvc.WithTimeout(timeout)); err == nil {
			t.Error(timeout)
		}
	}
	t.Setenv("RUNSVC_TIMEOUT", "1e-12")
	if _, err := runsvc.FromEnv(); err == nil {
		t.Error("FromEnv accepts a timeout below a nanosecond")
	}
}

func TestLongestTimeoutLeavesTime(t *testing.T) {
	s := &server{finish: finished}
	client := s.client(t, runsvc.WithTimeout(longest))
	if _, err := client.Get(t.Context(), &runsvcv1.GetRequest{}); err != nil {
		t.Fatal(err)
	}
	done, err := client.Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
		return nil, nil
	})
	if err != nil || done.GetStatus() != success {
		t.Fatal(done, err)
	}
}

func TestWatchReconnectsUnlessOutageIsZeroOrLess(t *testing.T) {
	for outage, streams := range map[time.Duration]int{longest: 2, 0: 1, -1: 1, shortest: 1} {
		s := &server{}
		s.stream = func(*runsvcv1.StreamStatusRequest, stream) error {
			if len(s.requests) == 2 {
				return nil
			}
			return unavailable
		}
		var last error
		for _, last = range s.client(t).Watch(t.Context(), runsvc.All(), runsvc.WithOutage(outage)) {
		}
		if len(s.requests) != streams || (last == nil) != (streams == 2) {
			t.Error(outage, len(s.requests), last)
		}
	}
}

func TestLeaseOfAnyLengthIsSent(t *testing.T) {
	for _, lease := range []time.Duration{-1, 1, shortest, longest} {
		s := &server{finish: finished, beat: func() (*runsvcv1.HeartbeatResponse, error) {
			return &runsvcv1.HeartbeatResponse{Run: run(running, 2)}, nil
		}}
		_, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{WorkerID: "w", Lease: lease}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
			return nil, nil
		})
		if err != nil {
			t.Error(lease, err)
		}
		if started := s.started(); started.GetLeaseTtl().AsDuration() != lease {
			t.Error(lease, started)
		}
	}
}

func TestAdviceOfAnyLengthIsNoHurry(t *testing.T) {
	for _, advice := range []*durationpb.Duration{{Seconds: math.MaxInt64}, durationpb.New(time.Minute)} {
		s := &server{get: func(context.Context) (*runsvcv1.GetResponse, error) {
			return nil, refusal(t, codes.Unavailable, &errdetails.RetryInfo{RetryDelay: advice})
		}}
		began := time.Now()
		_, err := s.client(t).Get(t.Context(), &runsvcv1.GetRequest{})
		// The next attempt would be after the deadline: the client does not wait for it.
		if !errors.Is(err, runsvc.ErrUnavailable) || len(s.requests) != 1 || time.Since(began) > runsvc.DefaultTimeout/2 {
			t.Error(err, len(s.requests), time.Since(began))
		}
	}
}
