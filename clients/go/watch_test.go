package runsvc_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

type stream = grpc.ServerStreamingServer[runsvcv1.StreamStatusResponse]

func TestWatchResumesAndEndsWithStream(t *testing.T) {
	s := &server{stream: func(request *runsvcv1.StreamStatusRequest, stream stream) error {
		switch request.GetAfterRevision() {
		case 0:
			_ = stream.Send(changed(running, 3))
			return unavailable
		case 3:
			_ = stream.Send(changed(success, 4))
			return status.Error(codes.Internal, "reset")
		}
		return nil
	}}
	var seen []uint64
	request := runsvc.Run("r")
	for event, err := range s.client(t).Watch(t.Context(), request) {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, event.GetRevision())
	}
	if len(seen) != 2 || seen[0] != 3 || seen[1] != 4 || len(s.requests) != 3 || request.AfterRevision != nil {
		t.Fatal(seen, s.requests, request)
	}
}

func TestLeavingLoopEndsStream(t *testing.T) {
	ended := make(chan struct{})
	s := &server{stream: func(_ *runsvcv1.StreamStatusRequest, stream stream) error {
		_ = stream.Send(changed(running, 3))
		<-stream.Context().Done()
		close(ended)
		return nil
	}}
	for range s.client(t).Watch(t.Context(), runsvc.Thread("t")) {
		break
	}
	<-ended
}

func TestWatchWithoutServerEndsWithContext(t *testing.T) {
	s := &server{stream: func(*runsvcv1.StreamStatusRequest, stream) error { return unavailable }}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var last error
	for _, last = range s.client(t).Watch(ctx, runsvc.All()) {
	}
	// The server may report the deadline a moment before the context ends.
	if !errors.Is(last, context.DeadlineExceeded) {
		t.Fatal(last)
	}
}

func TestWatchFailsAfterOutage(t *testing.T) {
	s := &server{stream: func(*runsvcv1.StreamStatusRequest, stream) error { return unavailable }}
	var last error
	for _, last = range s.client(t).Watch(t.Context(), runsvc.All(), runsvc.WithOutage(time.Millisecond)) {
	}
	if !errors.Is(last, runsvc.ErrUnavailable) {
		t.Fatal(last)
	}
}

func TestOutageStartsWithFirstFailureOfIdleWatch(t *testing.T) {
	const outage = 50 * time.Millisecond
	streams := 0
	s := &server{stream: func(_ *runsvcv1.StreamStatusRequest, stream stream) error {
		if streams++; streams > 1 {
			return nil
		}
		_ = stream.Send(changed(running, 3))
		time.Sleep(2 * outage)
		return unavailable
	}}
	for _, err := range s.client(t).Watch(t.Context(), runsvc.All(), runsvc.WithOutage(outage)) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWatchEndsWithoutServerAfterLastChange(t *testing.T) {
	acknowledged := changed(interrupted, 4)
	acknowledged.Run.Cancellation = &runsvcv1.Cancellation{AcknowledgedAt: timestamppb.Now()}
	cases := map[string]struct {
		last              *runsvcv1.StreamStatusResponse
		untilAcknowledged bool
		requests          int
	}{
		"ended":               {last: changed(success, 4), requests: 2},
		"cancelled":           {last: changed(interrupted, 4), requests: 2},
		"acknowledged":        {last: acknowledged, untilAcknowledged: true, requests: 2},
		"unacknowledged":      {last: changed(interrupted, 4), untilAcknowledged: true, requests: 3},
		"incomplete snapshot": {last: &runsvcv1.StreamStatusResponse{Event: runsvcv1.StatusEvent_STATUS_EVENT_SNAPSHOT, Run: run(success, 4)}, requests: 3},
	}
	for name, c := range cases {
		s := &server{}
		s.stream = func(_ *runsvcv1.StreamStatusRequest, stream stream) error {
			if requests := len(s.requests); requests == 1 {
				_ = stream.Send(c.last)
			} else if requests == 3 {
				return nil
			}
			return unavailable
		}
		request := runsvc.Run("r")
		request.UntilAcknowledged = c.untilAcknowledged
		for _, err := range s.client(t).Watch(t.Context(), request) {
			if err != nil {
				t.Error(name, err)
			}
		}
		if len(s.requests) != c.requests {
			t.Error(name, len(s.requests))
		}
	}
}

func TestWatchFailsWithErrorOfServer(t *testing.T) {
	for _, code := range []codes.Code{codes.Internal, codes.Canceled} {
		s := &server{stream: func(_ *runsvcv1.StreamStatusRequest, stream stream) error {
			stream.SetTrailer(metadata.Pairs("x-request-id", "q"))
			return status.Error(code, "a bug")
		}}
		var last error
		for _, last = range s.client(t).Watch(t.Context(), runsvc.All()) {
		}
		if status.Code(last) != code || len(s.requests) != 1 {
			t.Error(last, len(s.requests))
		}
	}
}

func TestWatchFailsWhenClientIsClosed(t *testing.T) {
	s := &server{stream: func(_ *runsvcv1.StreamStatusRequest, stream stream) error {
		_ = stream.Send(changed(running, 3))
		<-stream.Context().Done()
		return nil
	}}
	client := s.client(t)
	var last error
	for _, err := range client.Watch(t.Context(), runsvc.All()) {
		last = err
		_ = client.Close()
	}
	if !errors.Is(last, context.Canceled) {
		t.Fatal(last)
	}
}
