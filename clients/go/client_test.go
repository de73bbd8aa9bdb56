package runsvc_test

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

func TestErrorCarriesDetailsOfServer(t *testing.T) {
	refused := refusal(t, codes.Aborted,
		&errdetails.ErrorInfo{Domain: "runsvc", Reason: "THREAD_BUSY", Metadata: map[string]string{"run_id": "r"}},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "spec", Description: "bad"}}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)})
	s := &server{get: func(context.Context) (*runsvcv1.GetResponse, error) { return nil, refused }}
	_, err := s.client(t).Get(t.Context(), &runsvcv1.GetRequest{})
	var failure *runsvc.Error
	if !errors.As(err, &failure) || !errors.Is(err, runsvc.ErrThreadBusy) || errors.Is(err, runsvc.ErrNotFound) {
		t.Fatalf("%#v", err)
	}
	if failure.Reason != "THREAD_BUSY" || failure.Metadata["run_id"] != "r" || failure.RetryAfter != time.Second ||
		len(failure.Violations) != 1 || failure.Violations[0].Field != "spec" || status.Code(err) != codes.Aborted {
		t.Fatalf("%#v", failure)
	}
}

func TestErrorKindFollowsCode(t *testing.T) {
	for code, kind := range map[codes.Code]error{
		codes.NotFound: runsvc.ErrNotFound, codes.FailedPrecondition: runsvc.ErrFailedPrecondition,
		codes.InvalidArgument: runsvc.ErrInvalidArgument, codes.Unavailable: runsvc.ErrUnavailable,
		codes.DeadlineExceeded: context.DeadlineExceeded,
		// The transport has cancelled the call, not the caller.
		codes.Canceled: runsvc.ErrUnavailable,
	} {
		s := &server{create: func(*runsvcv1.CreateRequest) (*runsvcv1.CreateResponse, error) { return nil, status.Error(code, "") }}
		if _, err := s.client(t).Create(t.Context(), &runsvcv1.CreateRequest{}); !errors.Is(err, kind) {
			t.Errorf("%s is %v", code, err)
		}
	}
}

func TestCallUsesDeadlineOfContextOrDefault(t *testing.T) {
	var left time.Duration
	s := &server{get: func(ctx context.Context) (*runsvcv1.GetResponse, error) {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return &runsvcv1.GetResponse{}, nil
	}}
	client := s.client(t, runsvc.WithTimeout(time.Hour))
	if _, err := client.Get(t.Context(), &runsvcv1.GetRequest{}); err != nil || left < 30*time.Minute {
		t.Fatal(left, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
	defer cancel()
	if _, err := client.Get(ctx, &runsvcv1.GetRequest{}); err != nil || left < time.Hour {
		t.Fatal(left, err)
	}
}

func TestReadsAndCreationsWithRequestIDAreRetried(t *testing.T) {
	s := &server{
		get:    func(context.Context) (*runsvcv1.GetResponse, error) { return nil, unavailable },
		create: func(*runsvcv1.CreateRequest) (*runsvcv1.CreateResponse, error) { return nil, unavailable },
	}
	client := s.client(t)
	for _, step := range []struct {
		call     func() error
		requests int
	}{
		{func() error { _, err := client.Get(t.Context(), &runsvcv1.GetRequest{}); return err }, 4},
		{func() error { _, err := client.Create(t.Context(), &runsvcv1.CreateRequest{}); return err }, 1},
		{func() error {
			_, err := client.Create(t.Context(), &runsvcv1.CreateRequest{RequestId: "q"})
			return err
		}, 4},
	} {
		s.requests = nil
		if err := step.call(); !errors.Is(err, runsvc.ErrUnavailable) || len(s.requests) != step.requests {
			t.Errorf("got %d requests, want %d: %v", len(s.requests), step.requests, err)
		}
	}
}

func TestTokenIsSentWithCallsAndWatches(t *testing.T) {
	var tokens []string
	s := &server{
		get: func(ctx context.Context) (*runsvcv1.GetResponse, error) {
			tokens = append(tokens, metadata.ValueFromIncomingContext(ctx, "authorization")...)
			return &runsvcv1.GetResponse{}, nil
		},
		stream: func(_ *runsvcv1.StreamStatusRequest, stream stream) error {
			tokens = append(tokens, metadata.ValueFromIncomingContext(stream.Context(), "authorization")...)
			return nil
		},
	}
	t.Setenv("RUNSVC_TARGET", s.listen(t))
	t.Setenv("RUNSVC_TOKEN", "secret")
	for _, options := range [][]runsvc.Option{nil, {runsvc.WithToken("")}} {
		client, err := runsvc.FromEnv(options...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Get(t.Context(), &runsvcv1.GetRequest{}); err != nil {
			t.Fatal(err)
		}
		for _, err := range client.Watch(t.Context(), runsvc.All()) {
			t.Fatal(err)
		}
		_ = client.Close()
	}
	if len(tokens) != 2 || tokens[0] != "Bearer secret" || tokens[1] != tokens[0] {
		t.Fatal(tokens)
	}
}

func TestFromEnvRejectsInvalidValues(t *testing.T) {
	certificate := httptest.NewTLSServer(nil)
	defer certificate.Close()
	authorities := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate().Raw}
	if err := os.WriteFile(authorities, pem.EncodeToMemory(&block), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		variable, value string
		valid           bool
	}{
		{"RUNSVC_TIMEOUT", "0.5", true}, {"RUNSVC_TIMEOUT", "soon", false}, {"RUNSVC_TIMEOUT", "0", false},
		{"RUNSVC_TIMEOUT", "NaN", false}, {"RUNSVC_TIMEOUT", "inf", false}, {"RUNSVC_TIMEOUT", "1e10", false},
		{"RUNSVC_TLS_CA", authorities, true}, {"RUNSVC_TLS_CA", "client_test.go", false},
		{"RUNSVC_TLS_CA", "nowhere.pem", false},
	} {
		t.Run(step.variable+"="+step.value, func(t *testing.T) {
			t.Setenv(step.variable, step.value)
			client, err := runsvc.FromEnv()
			if (err == nil) != step.valid {
				t.Fatal(err)
			}
			if err == nil {
				_ = client.Close()
			}
		})
	}
}

func TestListFetchesPagesAsNeeded(t *testing.T) {
	s := &server{list: func(request *runsvcv1.ListByThreadRequest) (*runsvcv1.ListByThreadResponse, error) {
		page := &runsvcv1.ListByThreadResponse{Runs: []*runsvcv1.Run{run(success, 1), run(success, 2)}}
		if request.GetPageToken() == "" {
			page.NextPageToken = "more"
		}
		return page, nil
	}}
	client := s.client(t)
	request := &runsvcv1.ListByThreadRequest{ThreadId: "t"}
	for range 2 {
		count := 0
		for _, err := range client.List(t.Context(), request) {
			if err != nil {
				t.Fatal(err)
			}
			count++
		}
		if count != 4 || request.GetPageToken() != "" {
			t.Fatal(count, request)
		}
	}
	for range client.List(t.Context(), request) {
		break
	}
	if len(s.requests) != 5 {
		t.Fatal("List fetched a page that the loop did not need")
	}
}
