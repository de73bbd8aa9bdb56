package runsvc

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

const (
	maxAttempts = 4
	minPause    = 50 * time.Millisecond
	maxPause    = 2 * time.Second
	// maxAdvice is the longest RetryAfter that is followed.
	maxAdvice = 24 * time.Hour
)

// requestIDHeader is in the trailers of every error that a runsvc server returns.
const requestIDHeader = "x-request-id"

// callPolicy adds a deadline, a token, retries and our errors to every unary call.
type callPolicy struct {
	timeout time.Duration
	tokens  tokenSource
}

func (p callPolicy) intercept(
	ctx context.Context, method string, request, response any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		held := heldFor(request)
		// The sum must not overflow.
		ctx, cancel = context.WithTimeout(ctx, min(p.timeout, unlimited-held)+held)
		defer cancel()
	}
	var pauses backoffPauses
	for attempt := 1; ; attempt++ {
		err := authorize(ctx, p.tokens, func(ctx context.Context) error {
			return attemptCall(ctx, method, request, response, conn, invoke, options)
		})
		retry := isWorthRetry(err) && attempt < maxAttempts && isRepeatable(method, request)
		if !retry || pauses.wait(ctx, err) != nil {
			return err
		}
	}
}

// heldFor returns how long the server may hold a call before it answers.
func heldFor(request any) time.Duration {
	claim, ok := request.(*runsvcv1.ClaimRequest)
	switch {
	case !ok:
		return 0
	case claim.GetWait() == nil:
		return defaultWait
	}
	return min(max(claim.GetWait().AsDuration(), 0), maxWait)
}

// attemptCall makes one attempt. A transport that sheds the call, or a server that stops, may cancel it: if neither
// the caller nor the client did, such an error is Unavailable.
func attemptCall(
	ctx context.Context, method string, request, response any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options []grpc.CallOption,
) error {
	var trailer metadata.MD
	options = append(options[:len(options):len(options)], grpc.Trailer(&trailer))
	err := translate(invoke(ctx, method, request, response, conn, options...))
	failure, ok := err.(*Error)
	if !ok {
		return err
	}
	failure.addTrailer(trailer)
	if ctx.Err() != nil || conn.GetState() == connectivity.Shutdown {
		return err
	}
	return uncancelled(err)
}

// isWorthRetry reports whether the same call may succeed soon: no server answered, or the server asks for a pause.
func isWorthRetry(err error) bool {
	return errors.Is(err, ErrUnavailable) || isOverload(err)
}

// isRepeatable reports whether a call may be sent twice: a read, as marked in the protos, or a creation with a
// request id.
func isRepeatable(method string, request any) bool {
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

// streamPolicy adds a token to streams, unless they have one, and our errors.
type streamPolicy struct{ tokens tokenSource }

func (p streamPolicy) intercept(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn,
	method string, open grpc.Streamer, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	if ctx.Value(tokenKey{}) == nil {
		token, err := p.tokens.token(ctx)
		if err != nil {
			return nil, err
		}
		ctx = withToken(ctx, token)
	}
	opened, err := open(ctx, desc, conn, method, options...)
	if err != nil {
		return nil, translate(err)
	}
	return translatedStream{opened}, nil
}

type translatedStream struct{ grpc.ClientStream }

func (s translatedStream) RecvMsg(message any) error {
	err := translate(s.ClientStream.RecvMsg(message))
	if failure, ok := err.(*Error); ok {
		failure.addTrailer(s.Trailer())
	}
	return err
}

// List iterates over the runs of the request's thread, newest first, and fetches further pages as needed. It yields
// an error at most once, as the last value.
func (c *Client) List(
	ctx context.Context, request *runsvcv1.ListByThreadRequest,
) iter.Seq2[*runsvcv1.Run, error] {
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

// backoffPauses are the pauses between attempts. They double, and each is shortened at random by up to a half, so
// that clients do not retry in step. The RetryAfter of the last error is added.
type backoffPauses struct{ last time.Duration }

func (p *backoffPauses) wait(ctx context.Context, after error) error {
	p.last = min(max(2*p.last, minPause), maxPause)
	pause := p.last/2 + rand.N(p.last/2)
	var failure *Error
	if errors.As(after, &failure) {
		pause += min(max(failure.RetryAfter, 0), maxAdvice)
	}
	if deadline, limited := ctx.Deadline(); limited && time.Until(deadline) <= pause {
		return context.DeadlineExceeded
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
