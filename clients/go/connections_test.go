package runsvc_test

import (
	"context"
	"iter"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

func TestWatchesBeyondOneConnectionLeaveRoomForCalls(t *testing.T) {
	s := &server{stream: func(_ *runsvcv1.StreamStatusRequest, stream stream) error {
		if err := stream.Send(changed(running, 1)); err != nil {
			return err
		}
		<-stream.Context().Done()
		return nil
	}}
	client, err := runsvc.New(s.listen(t, grpc.MaxConcurrentStreams(100)))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var leave []func()
		for range 300 {
			next, stop := iter.Pull2(client.Watch(t.Context(), runsvc.All()))
			if _, err, _ := next(); err != nil {
				t.Fatal(err)
			}
			leave = append(leave, stop)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if _, err := client.Get(ctx, &runsvcv1.GetRequest{}); err != nil {
			t.Fatal(err)
		}
		cancel()
		for _, stop := range leave {
			stop()
		}
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range client.Watch(t.Context(), runsvc.All()) {
		if err == nil {
			t.Fatal("a watch of a closed client yields an event")
		}
	}
}

func TestUnixSocketIsATarget(t *testing.T) {
	s := &server{}
	path := t.TempDir() + "/s"
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	grpcServer := grpc.NewServer()
	runsvcv1.RegisterRunServiceServer(grpcServer, s)
	go func() { _ = grpcServer.Serve(listener) }()
	t.Cleanup(grpcServer.Stop)
	client, err := runsvc.New("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Get(t.Context(), &runsvcv1.GetRequest{}); err != nil {
		t.Fatal(err)
	}
}
