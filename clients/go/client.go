// Package runsvc is the client of runsvc, the run service for agent platforms.
//
// A Client is the generated stub, with a deadline on every call, retries where they are safe, and errors that programs can branch
// on; List and Watch are loops over pages and changes, Work is the executor's side.
//
//	client, err := runsvc.FromEnv()
//	if err != nil { … }
//	defer client.Close()
//	created, err := client.Create(ctx, &runsvcv1.CreateRequest{Spec: &runsvcv1.RunSpec{ThreadId: "chat-1"}})
//	for event, err := range client.Watch(ctx, runsvc.Run(created.GetRun().GetRunId())) { … }
package runsvc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
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
	// DefaultTarget is where `runsvc serve` listens unless told otherwise.
	DefaultTarget = "127.0.0.1:50051"
	// DefaultTimeout is how long a call may take unless its context or WithTimeout says otherwise.
	DefaultTimeout = 10 * time.Second

	// Seconds that a Duration holds.
	longestTimeout = float64(forever / time.Second)
)

// Client calls one server over one connection, which it makes with the first call. It is safe for use by several goroutines.
type Client struct {
	// Every RPC of RunService. Their errors are *Error.
	runsvcv1.RunServiceClient
	// Admin is the operators' service.
	Admin runsvcv1.AdminServiceClient

	conn    *grpc.ClientConn
	timeout time.Duration
}

type settings struct {
	timeout time.Duration
	token   func(context.Context) (string, error)
	tls     *tls.Config
	dial    []grpc.DialOption
}

// Option changes how a Client connects or calls.
type Option func(*settings)

// WithTimeout sets the deadline of calls whose context has none. Watches have none.
func WithTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.timeout = timeout }
}

// WithToken sends a bearer token with every call and every watch. Empty: none.
func WithToken(token string) Option {
	if token == "" {
		return WithTokenSource(nil)
	}
	return WithTokenSource(func(context.Context) (string, error) { return token, nil })
}

// WithTokenSource asks for the bearer token anew for each call. Nil: none is sent.
func WithTokenSource(token func(context.Context) (string, error)) Option {
	return func(s *settings) { s.token = token }
}

// WithTLS encrypts the connection. Nil: plain text, as without this option.
func WithTLS(config *tls.Config) Option {
	return func(s *settings) { s.tls = config }
}

// WithDialOptions hands options to gRPC, such as interceptors of one's own. They come after ours, and win.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dial = append(s.dial, options...) }
}

// New returns a client of the server at target, such as "127.0.0.1:50051". It does not look whether one is there.
func New(target string, options ...Option) (*Client, error) {
	s := settings{timeout: DefaultTimeout}
	for _, option := range options {
		option(&s)
	}
	conn, err := grpc.NewClient(target, append(s.dialOptions(), s.dial...)...)
	if err != nil {
		return nil, err
	}
	return &Client{
		RunServiceClient: runsvcv1.NewRunServiceClient(conn),
		Admin:            runsvcv1.NewAdminServiceClient(conn),
		conn:             conn,
		timeout:          s.timeout,
	}, nil
}

// FromEnv returns a client as the environment says: RUNSVC_TARGET, RUNSVC_TOKEN, RUNSVC_TLS_CA (a file with the authorities to
// trust, in PEM; the connection is encrypted then) and RUNSVC_TIMEOUT (seconds). Options win over the environment.
func FromEnv(options ...Option) (*Client, error) {
	fromEnv := []Option{WithToken(os.Getenv("RUNSVC_TOKEN"))}
	if file := os.Getenv("RUNSVC_TLS_CA"); file != "" {
		config, err := trusting(file)
		if err != nil {
			return nil, fmt.Errorf("RUNSVC_TLS_CA: %w", err)
		}
		fromEnv = append(fromEnv, WithTLS(config))
	}
	if text := os.Getenv("RUNSVC_TIMEOUT"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || !(seconds > 0 && seconds <= longestTimeout) {
			return nil, fmt.Errorf("RUNSVC_TIMEOUT: %q is no number of seconds", text)
		}
		fromEnv = append(fromEnv, WithTimeout(time.Duration(seconds*float64(time.Second))))
	}
	target := os.Getenv("RUNSVC_TARGET")
	if target == "" {
		target = DefaultTarget
	}
	return New(target, append(fromEnv, options...)...)
}

// Close ends the connection, and with it every call and watch.
func (c *Client) Close() error { return c.conn.Close() }

// Conn is the connection below, for other stubs. What is called over it has the client's deadlines, retries and errors too.
func (c *Client) Conn() *grpc.ClientConn { return c.conn }

func trusting(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}, nil
}

func (s *settings) dialOptions() []grpc.DialOption {
	transport := insecure.NewCredentials()
	if s.tls != nil {
		transport = credentials.NewTLS(s.tls)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithChainUnaryInterceptor(calls{timeout: s.timeout}.unary),
		grpc.WithChainStreamInterceptor(streams),
		// A server that comes back is found again within two seconds; the default is two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstWait, Multiplier: 2, Jitter: 0.2, MaxDelay: longestWait},
			MinConnectTimeout: 5 * time.Second,
		}),
		// A peer that froze is noticed within some 40 seconds, also by a watch that nothing happens on.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	}
	if s.token != nil {
		options = append(options, grpc.WithPerRPCCredentials(bearer(s.token)))
	}
	return options
}

// bearer is the credentials of a token. Whether it may travel in plain text is for whoever configures the server to decide.
type bearer func(context.Context) (string, error)

func (token bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	text, err := token(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + text}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }
