package runsvc_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

var shed = status.Error(codes.Canceled, "shed")

func overloaded(t *testing.T, pause time.Duration) error {
	t.Helper()
	return refusal(t, codes.ResourceExhausted,
		&errdetails.ErrorInfo{Domain: "runsvc", Reason: "OVERLOADED"}, &errdetails.RetryInfo{RetryDelay: durationpb.New(pause)})
}

func TestSafeCallsAreRetriedAfterOverloadAndForeignCancel(t *testing.T) {
	for name, refused := range map[string]error{"overload": overloaded(t, 100*time.Millisecond), "cancel": shed} {
		s := &server{create: func(*runsvcv1.CreateRequest) (*runsvcv1.CreateResponse, error) { return nil, refused }}
		s.get = func(context.Context) (*runsvcv1.GetResponse, error) {
			if len(s.requests) == 1 {
				return nil, refused
			}
			return &runsvcv1.GetResponse{}, nil
		}
		client, began := s.client(t), time.Now()
		if _, err := client.Get(t.Context(), &runsvcv1.GetRequest{}); err != nil || len(s.requests) != 2 {
			t.Error(name, err, len(s.requests))
		}
		if name == "overload" && time.Since(began) < 100*time.Millisecond {
			t.Error("the retry did not wait for the delay of the server")
		}
		s.requests = nil
		if _, err := client.Create(t.Context(), &runsvcv1.CreateRequest{}); err == nil || errors.Is(err, context.Canceled) || len(s.requests) != 1 {
			t.Error(name, err, len(s.requests))
		}
	}
}

func TestCancelOfCallerClientAndServerStaysCancelled(t *testing.T) {
	called := make(chan struct{})
	s := &server{get: func(ctx context.Context) (*runsvcv1.GetResponse, error) {
		called <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	client := s.client(t)
	ctx, cancel := context.WithCancel(t.Context())
	for _, stop := range []func(){cancel, func() { _ = client.Close() }} {
		go func() {
			<-called
			stop()
		}()
		if _, err := client.Get(ctx, &runsvcv1.GetRequest{}); !errors.Is(err, context.Canceled) || len(s.requests) != 1 {
			t.Error(err, len(s.requests))
		}
		ctx, s.requests = t.Context(), nil
	}
	sent := &server{get: func(ctx context.Context) (*runsvcv1.GetResponse, error) {
		return nil, errors.Join(grpc.SetTrailer(ctx, metadata.Pairs("x-request-id", "q")), shed)
	}}
	if _, err := sent.client(t).Get(t.Context(), &runsvcv1.GetRequest{}); !errors.Is(err, context.Canceled) || len(sent.requests) != 1 {
		t.Error(err, len(sent.requests))
	}
}

func TestWatchResumesAfterOverloadAndForeignCancel(t *testing.T) {
	for name, refused := range map[string]error{"overload": overloaded(t, time.Millisecond), "cancel": shed} {
		s := &server{}
		s.stream = func(*runsvcv1.StreamStatusRequest, stream) error {
			if len(s.requests) == 1 {
				return refused
			}
			return nil
		}
		for _, err := range s.client(t).Watch(t.Context(), runsvc.All()) {
			t.Error(name, err)
		}
		if len(s.requests) != 2 {
			t.Error(name, len(s.requests))
		}
	}
}

func TestEndIsReportedAfterForeignCancel(t *testing.T) {
	s := &server{}
	s.finish = func(request *runsvcv1.CompleteRequest) (*runsvcv1.CompleteResponse, error) {
		s.finish = finished
		return nil, shed
	}
	done, err := s.client(t).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(context.Context, *runsvc.Execution) (*runsvcv1.Progress, error) {
		return nil, nil
	})
	if err != nil || done.GetStatus() != success {
		t.Fatal(done, err)
	}
}
