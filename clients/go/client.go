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
	// DefaultTarget is the address on which `runsvc serve` listens by default.
	DefaultTarget = "127.0.0.1:50051"
	// DefaultTimeout limits a call whose context has no deadline, unless WithTimeout sets another limit.
	DefaultTimeout = 10 * time.Second

	// unlimited is the longest Duration, and maxTimeout its whole seconds.
	unlimited  = time.Duration(1<<63 - 1)
	maxTimeout = float64(unlimited / time.Second)
)

// Client calls one server over one connection, which it opens with the first call. It is safe for use by several
// goroutines.
type Client struct {
	// RunServiceClient has every RPC of RunService. Their errors are *Error.
	runsvcv1.RunServiceClient
	// Admin has every RPC of AdminService, for operators.
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

// Option configures a Client.
type Option func(*settings)

// WithTimeout sets the deadline of calls whose context has none. It must be positive. Watches have no deadline.
func WithTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.timeout = timeout }
}

// WithToken sends a bearer token with every call and every watch. The empty token sends none.
func WithToken(token string) Option {
	if token == "" {
		return WithTokenSource(nil)
	}
	return WithTokenSource(func(context.Context) (string, error) { return token, nil })
}

// WithTokenSource calls the function for a bearer token before each call and each stream. A nil function sends none.
func WithTokenSource(token func(context.Context) (string, error)) Option {
	return func(s *settings) { s.token = token }
}

// WithTLS encrypts the connection. With a nil config, as without this option, the connection is plain text.
func WithTLS(config *tls.Config) Option {
	return func(s *settings) { s.tls = config }
}

// WithDialOptions passes options to gRPC, such as further interceptors. They are applied after the client's own and
// override them.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dial = append(s.dial, options...) }
}

// New returns a client of the server at target, such as "127.0.0.1:50051". It does not connect yet. It fails if a
// timeout is not positive.
func New(target string, options ...Option) (*Client, error) {
	s := settings{timeout: DefaultTimeout}
	for _, option := range options {
		option(&s)
	}
	if s.timeout <= 0 {
		return nil, fmt.Errorf("the timeout must be positive, but is %s; change WithTimeout or RUNSVC_TIMEOUT", s.timeout)
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

// FromEnv returns a client configured by the environment: RUNSVC_TARGET (the server's address), RUNSVC_TOKEN (a
// bearer token), RUNSVC_TLS_CA (a PEM file of trusted certificate authorities; it turns encryption on) and
// RUNSVC_TIMEOUT (seconds per call). Options override the environment.
func FromEnv(options ...Option) (*Client, error) {
	fromEnv := []Option{WithToken(os.Getenv("RUNSVC_TOKEN"))}
	if file := os.Getenv("RUNSVC_TLS_CA"); file != "" {
		config, err := tlsConfig(file)
		if err != nil {
			return nil, fmt.Errorf("RUNSVC_TLS_CA: %w", err)
		}
		fromEnv = append(fromEnv, WithTLS(config))
	}
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

// Close closes the connection. Calls and watches in progress fail.
func (c *Client) Close() error { return c.conn.Close() }

// Conn returns the connection, for other stubs. Calls over it have the client's deadlines, retries and errors too.
func (c *Client) Conn() *grpc.ClientConn { return c.conn }

func tlsConfig(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s contains no certificate in PEM format", file)
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
		grpc.WithChainUnaryInterceptor(callPolicy{timeout: s.timeout}.intercept),
		grpc.WithChainStreamInterceptor(interceptStream),
		// Reconnect within two seconds of a server's return; gRPC's default allows two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: minPause, Multiplier: 2, Jitter: 0.2, MaxDelay: maxPause},
			MinConnectTimeout: 5 * time.Second,
		}),
		// Detect an unresponsive peer within about 40 seconds, also on a watch without events.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	}
	if s.token != nil {
		options = append(options, grpc.WithPerRPCCredentials(bearerToken(s.token)))
	}
	return options
}

// bearerToken sends a token as call credentials, also in plain text: the operator who configures the server decides
// on encryption.
type bearerToken func(context.Context) (string, error)

func (token bearerToken) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	text, err := token(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + text}, nil
}

func (bearerToken) RequireTransportSecurity() bool { return false }
