package runsvc_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// server answers each call with a function of the test, and records the requests. Calls without a function are
// Unimplemented.
type server struct {
	runsvcv1.UnimplementedRunServiceServer
	get    func(context.Context) (*runsvcv1.GetResponse, error)
	create func(*runsvcv1.CreateRequest) (*runsvcv1.CreateResponse, error)
	list   func(*runsvcv1.ListByThreadRequest) (*runsvcv1.ListByThreadResponse, error)
	stream func(*runsvcv1.StreamStatusRequest, grpc.ServerStreamingServer[runsvcv1.StreamStatusResponse]) error
	lease  *runsvcv1.Lease
	beat   func() (*runsvcv1.HeartbeatResponse, error)
	update func(*runsvcv1.UpdateProgressRequest) (*runsvcv1.UpdateProgressResponse, error)
	finish func(*runsvcv1.CompleteRequest) (*runsvcv1.CompleteResponse, error)
	ack    func(*runsvcv1.AcknowledgeCancelRequest) (*runsvcv1.AcknowledgeCancelResponse, error)
	claim  func(context.Context, *runsvcv1.ClaimRequest) (*runsvcv1.ClaimResponse, error)

	lock     sync.Mutex
	requests []proto.Message
}

// started returns the request that started the run.
func (s *server) started() *runsvcv1.SetStatusRequest {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.requests[0].(*runsvcv1.SetStatusRequest)
}

func (s *server) record(request proto.Message) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.requests = append(s.requests, request)
}

func (s *server) Get(ctx context.Context, request *runsvcv1.GetRequest) (*runsvcv1.GetResponse, error) {
	s.record(request)
	if s.get == nil {
		return &runsvcv1.GetResponse{Run: run(running, 2)}, nil
	}
	return s.get(ctx)
}

func (s *server) Create(_ context.Context, request *runsvcv1.CreateRequest) (*runsvcv1.CreateResponse, error) {
	s.record(request)
	return s.create(request)
}

func (s *server) ListByThread(_ context.Context, request *runsvcv1.ListByThreadRequest) (*runsvcv1.ListByThreadResponse, error) {
	s.record(request)
	return s.list(request)
}

func (s *server) StreamStatus(request *runsvcv1.StreamStatusRequest, stream grpc.ServerStreamingServer[runsvcv1.StreamStatusResponse]) error {
	s.record(request)
	if s.stream == nil {
		<-stream.Context().Done()
		return nil
	}
	return s.stream(request, stream)
}

func (s *server) SetStatus(_ context.Context, request *runsvcv1.SetStatusRequest) (*runsvcv1.SetStatusResponse, error) {
	s.record(request)
	started := run(request.GetStatus(), 2)
	started.Lease = s.lease
	return &runsvcv1.SetStatusResponse{Run: started, Changed: true}, nil
}

func (s *server) Heartbeat(_ context.Context, request *runsvcv1.HeartbeatRequest) (*runsvcv1.HeartbeatResponse, error) {
	s.record(request)
	return s.beat()
}

func (s *server) UpdateProgress(_ context.Context, request *runsvcv1.UpdateProgressRequest) (*runsvcv1.UpdateProgressResponse, error) {
	s.record(request)
	if s.update == nil {
		return &runsvcv1.UpdateProgressResponse{}, nil
	}
	return s.update(request)
}

func (s *server) Complete(_ context.Context, request *runsvcv1.CompleteRequest) (*runsvcv1.CompleteResponse, error) {
	s.record(request)
	return s.finish(request)
}

func (s *server) AcknowledgeCancel(_ context.Context, request *runsvcv1.AcknowledgeCancelRequest) (*runsvcv1.AcknowledgeCancelResponse, error) {
	s.record(request)
	return s.ack(request)
}

func (s *server) Claim(ctx context.Context, request *runsvcv1.ClaimRequest) (*runsvcv1.ClaimResponse, error) {
	s.record(request)
	return s.claim(ctx, request)
}

func (s *server) Release(_ context.Context, request *runsvcv1.ReleaseRequest) (*runsvcv1.ReleaseResponse, error) {
	s.record(request)
	return &runsvcv1.ReleaseResponse{Run: run(runsvcv1.RunStatus_RUN_STATUS_PENDING, 3)}, nil
}

// client starts the server and returns a client of it.
func (s *server) client(t *testing.T, options ...runsvc.Option) *runsvc.Client {
	t.Helper()
	client, err := runsvc.New(s.listen(t), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// listen starts the server and returns its address.
func (s *server) listen(t *testing.T, options ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	grpcServer := grpc.NewServer(options...)
	runsvcv1.RegisterRunServiceServer(grpcServer, s)
	go func() { _ = grpcServer.Serve(listener) }()
	t.Cleanup(grpcServer.Stop)
	return listener.Addr().String()
}

func run(status runsvcv1.RunStatus, revision uint64) *runsvcv1.Run {
	return &runsvcv1.Run{RunId: "r", Status: status, Revision: revision}
}

func changed(status runsvcv1.RunStatus, revision uint64) *runsvcv1.StreamStatusResponse {
	return &runsvcv1.StreamStatusResponse{Event: runsvcv1.StatusEvent_STATUS_EVENT_CHANGED, Revision: revision, Run: run(status, revision)}
}

// refusal returns a status error with details.
func refusal(t *testing.T, code codes.Code, details ...protoadapt.MessageV1) error {
	t.Helper()
	refused := status.New(code, "no")
	for _, detail := range details {
		var err error
		if refused, err = refused.WithDetails(detail); err != nil {
			t.Fatal(err)
		}
	}
	return refused.Err()
}

var unavailable = status.Error(codes.Unavailable, "gone")

const (
	running     = runsvcv1.RunStatus_RUN_STATUS_RUNNING
	success     = runsvcv1.RunStatus_RUN_STATUS_SUCCESS
	interrupted = runsvcv1.RunStatus_RUN_STATUS_INTERRUPTED
)
