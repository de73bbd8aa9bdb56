package runsvc

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

const (
	attempts    = 4
	firstWait   = 50 * time.Millisecond
	longestWait = 2 * time.Second
)

// calls is what surrounds every unary call.
type calls struct{ timeout time.Duration }

func (c calls) unary(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	var waits waits
	for attempt := 1; ; attempt++ {
		err := translated(invoke(ctx, method, request, response, conn, options...))
		again := errors.Is(err, ErrUnavailable) && attempt < attempts && repeatable(method, request)
		if !again || waits.next(ctx, err) != nil {
			return err
		}
	}
}

// repeatable tells whether a call may be sent twice, as far as the protos say: a read, or a creation that the server recognizes.
func repeatable(method string, request any) bool {
	if creation, ok := request.(interface{ GetRequestId() string }); ok && creation.GetRequestId() != "" {
		return true
	}
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return false
	}
	options, _ := found.Options().(*descriptorpb.MethodOptions)
	return options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

// streams gives streams our errors.
func streams(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	opened, err := open(ctx, desc, conn, method, options...)
	if err != nil {
		return nil, translated(err)
	}
	return stream{opened}, nil
}

type stream struct{ grpc.ClientStream }

func (s stream) RecvMsg(message any) error {
	err := translated(s.ClientStream.RecvMsg(message))
	if failure, ok := err.(*Error); ok {
		failure.isOurs = failure.Reason != "" || len(s.Trailer().Get(requestID)) > 0
	}
	return err
}

// requestID is on every failure that a server of ours tells.
const requestID = "x-request-id"

// List is every run of the request's thread, newest first, page after page. After an error the loop ends.
func (c *Client) List(ctx context.Context, request *runsvcv1.ListByThreadRequest) iter.Seq2[*runsvcv1.Run, error] {
	return func(yield func(*runsvcv1.Run, error) bool) {
		request := proto.CloneOf(request)
		for more := true; more; more = request.PageToken != "" {
			page, err := c.ListByThread(ctx, request)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, run := range page.GetRuns() {
				if !yield(run, nil) {
					return
				}
			}
			request.PageToken = page.GetNextPageToken()
		}
	}
}

// waits are pauses that double, each shortened at random by up to a half, so that many clients do not come back at once. What the server
// asked for comes on top.
type waits struct{ last time.Duration }

func (w *waits) next(ctx context.Context, after error) error {
	w.last = min(max(2*w.last, firstWait), longestWait)
	pause := w.last/2 + rand.N(w.last/2)
	var failure *Error
	if errors.As(after, &failure) {
		pause += failure.RetryAfter
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
