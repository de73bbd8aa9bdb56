// Package runsvc is the client of runsvc, the run service for agent platforms.
//
// A [Client] is the generated stub with a deadline on every call, retries where they are safe, and errors that
// programs can branch on. [Client.List] iterates over pages, [Client.Watch] over changes, and [Client.Execute]
// executes a run.
//
//	client, err := runsvc.FromEnv()
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	created, err := client.Create(ctx, &runsvcv1.CreateRequest{Spec: &runsvcv1.RunSpec{ThreadId: "chat-1"}})
//	if err != nil {
//		return err
//	}
//	for event, err := range client.Watch(ctx, runsvc.Run(created.GetRun().GetRunId())) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(event.GetEvent(), event.GetRun().GetStatus())
//	}
package runsvc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

const (
	// DefaultTarget is the address on which `runsvc serve` listens by default.
	DefaultTarget = "127.0.0.1:50051"
	// DefaultTimeout limits a call whose context has no deadline, unless WithTimeout sets another limit.
	DefaultTimeout = 10 * time.Second

	// unlimited is the longest Duration, and maxTimeout its whole seconds.
	unlimited  = time.Duration(1<<63 - 1)
	maxTimeout = float64(unlimited / time.Second)
)

// Client calls one server. A call without a deadline has the time limit of WithTimeout; Claim also its wait. It opens a connection with the first call, and further ones for many watches. It is safe for
// use by several goroutines.
type Client struct {
	// RunServiceClient has every RPC of RunService. Their errors are *Error.
	runsvcv1.RunServiceClient
	// Admin has every RPC of AdminService, for operators.
	Admin runsvcv1.AdminServiceClient

	conns   *connections
	timeout time.Duration
	tokens  tokenSource
	// The owner that is sent with every call. Nil: none.
	owner *string
}

type settings struct {
	timeout time.Duration
	tokens  tokenSource
	// The variables of the environment that contradict each other.
	conflict error
	// Nil: plain text.
	tls credentials.TransportCredentials
	// Why the files for TLS cannot be used.
	tlsFailure error
	dial       []grpc.DialOption
}

// Option configures a Client.
type Option func(*settings)

// WithTimeout sets the deadline of calls whose context has none. It must be positive. Watches have no deadline.
func WithTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.timeout = timeout }
}

// WithToken sends a bearer token with every call and every watch. The empty token sends none.
func WithToken(token string) Option {
	return withTokens(fixedToken(token))
}

// WithTokenFile sends the bearer token in a file, without the white space around it. The file is read again when it has
// changed; while it cannot be read, the last token stays. A call or watch that the server refuses with UNAUTHENTICATED
// is repeated once if the file has another token by then.
func WithTokenFile(path string) Option {
	return func(s *settings) { s.tokens, s.conflict = &fileToken{path: path}, nil }
}

// WithTokenSource calls the function for a bearer token before each call and each stream, and once more if the server
// refuses the token with UNAUTHENTICATED. The empty token and a nil function send none.
func WithTokenSource(token func(context.Context) (string, error)) Option {
	if token == nil {
		return WithToken("")
	}
	return withTokens(functionToken(token))
}

func withTokens(tokens tokenSource) Option {
	return func(s *settings) { s.tokens, s.conflict = tokens, nil }
}

// WithTLS encrypts the connection. With a nil config, as without this option, the connection is plain text.
func WithTLS(config *tls.Config) Option {
	return func(s *settings) {
		s.tls, s.tlsFailure = nil, nil
		if config != nil {
			s.tls = credentials.NewTLS(config)
		}
	}
}

// WithDialOptions passes options to gRPC, such as further interceptors. They are applied after the client's own and
// override them.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dial = append(s.dial, options...) }
}

// New returns a client of the server at target, such as "127.0.0.1:50051" or "unix:/run/runsvc.sock". With several
// servers, "dns:///runs:50051" or "ipv4:10.0.0.1:50051,10.0.0.2:50051" spreads calls and watches over those that serve.
// It does not connect yet. It fails if a timeout is not positive.
func New(target string, options ...Option) (*Client, error) {
	s := settings{timeout: DefaultTimeout, tokens: fixedToken("")}
	for _, option := range options {
		option(&s)
	}
	if s.timeout <= 0 {
		return nil, fmt.Errorf("the timeout must be positive, but is %s; change WithTimeout or RUNSVC_TIMEOUT", s.timeout)
	}
	if err := errors.Join(s.conflict, s.tlsFailure); err != nil {
		return nil, err
	}
	conns, err := newConnections(func() (*grpc.ClientConn, error) {
		return grpc.NewClient(target, slices.Concat(s.dialOptions(), balancing(target), s.dial)...)
	})
	if err != nil {
		return nil, err
	}
	return &Client{
		RunServiceClient: runsvcv1.NewRunServiceClient(conns.first),
		Admin:            runsvcv1.NewAdminServiceClient(conns.first),
		conns:            conns,
		timeout:          s.timeout,
		tokens:           s.tokens,
	}, nil
}

// FromEnv returns a client configured by the environment: RUNSVC_TARGET (the server's address), RUNSVC_TOKEN (a
// bearer token) or RUNSVC_TOKEN_FILE (a file with one), RUNSVC_TLS_CA (a PEM file of trusted certificate authorities),
// RUNSVC_TLS_CERT and RUNSVC_TLS_KEY (PEM files of a client certificate and its key), and RUNSVC_TIMEOUT (seconds per
// call). A file for TLS turns encryption on. Options override the environment.
func FromEnv(options ...Option) (*Client, error) {
	fromEnv := []Option{tokenFromEnv(), tlsFromEnv()}
	if text := os.Getenv("RUNSVC_TIMEOUT"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || !(seconds > 0 && seconds <= maxTimeout) {
			return nil, fmt.Errorf("RUNSVC_TIMEOUT: %q is not a positive number of seconds below 9.2e9; set one such as 2.5", text)
		}
		fromEnv = append(fromEnv, WithTimeout(time.Duration(seconds*float64(time.Second))))
	}
	target := os.Getenv("RUNSVC_TARGET")
	if target == "" {
		target = DefaultTarget
	}
	return New(target, append(fromEnv, options...)...)
}

func tokenFromEnv() Option {
	token, file := os.Getenv("RUNSVC_TOKEN"), os.Getenv("RUNSVC_TOKEN_FILE")
	switch {
	case token != "" && file != "":
		return func(s *settings) {
			s.conflict = errors.New("RUNSVC_TOKEN and RUNSVC_TOKEN_FILE are both set; unset one of them")
		}
	case file != "":
		return WithTokenFile(file)
	}
	return WithToken(token)
}

// tlsFromEnv changes nothing if no variable turns encryption on.
func tlsFromEnv() Option {
	authorities, certificate, key := os.Getenv("RUNSVC_TLS_CA"), os.Getenv("RUNSVC_TLS_CERT"), os.Getenv("RUNSVC_TLS_KEY")
	if authorities == "" && certificate == "" && key == "" {
		return WithTLS(nil)
	}
	return func(s *settings) {
		WithTLSFiles(authorities, certificate, key)(s)
		if s.tlsFailure != nil {
			s.tlsFailure = fmt.Errorf("RUNSVC_TLS_CA, RUNSVC_TLS_CERT, RUNSVC_TLS_KEY: %w", s.tlsFailure)
		}
	}
}

// Close closes the connections. Calls and watches in progress fail.
func (c *Client) Close() error { return c.conns.close() }

// Conn returns the connection, for other stubs. Calls over it have the client's deadlines, retries, tokens and errors
// too, but not the owner of a view.
func (c *Client) Conn() *grpc.ClientConn { return c.conns.first }

func (s *settings) dialOptions() []grpc.DialOption {
	transport := insecure.NewCredentials()
	if s.tls != nil {
		transport = s.tls
	}
	return []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithChainUnaryInterceptor(callPolicy{timeout: s.timeout, tokens: s.tokens}.intercept),
		grpc.WithChainStreamInterceptor(streamPolicy{tokens: s.tokens}.intercept),
		// Reconnect within two seconds of a server's return; gRPC's default allows two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: minPause, Multiplier: 2, Jitter: 0.2, MaxDelay: maxPause},
			MinConnectTimeout: 5 * time.Second,
		}),
		// Detect an unresponsive peer within about 40 seconds, also on a watch without events.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	}
}
