package runsvc_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	runsvc "github.com/runsvc/runsvc/clients/go"
	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// door refuses every token but one, and records the tokens.
type door struct {
	accepts string
	asked   []string
}

func (d *door) enter(ctx context.Context) error {
	token := strings.Join(metadata.ValueFromIncomingContext(ctx, "authorization"), ",")
	d.asked = append(d.asked, token)
	if token != "Bearer "+d.accepts {
		return status.Error(codes.Unauthenticated, "expired")
	}
	return nil
}

// server returns a server behind the door.
func (d *door) server() *server {
	return &server{
		get: func(ctx context.Context) (*runsvcv1.GetResponse, error) {
			return &runsvcv1.GetResponse{Run: run(running, 2)}, d.enter(ctx)
		},
		stream: func(_ *runsvcv1.StreamStatusRequest, stream stream) error {
			if err := d.enter(stream.Context()); err != nil {
				return err
			}
			return stream.Send(changed(success, 3))
		},
	}
}

func tokenFile(t *testing.T, token string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	replace(t, path, token)
	return path
}

// replace gives the file another content, as a rename does.
func replace(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestTokenFileIsReadAgainWhenItHasChanged(t *testing.T) {
	d := &door{accepts: "one"}
	path := tokenFile(t, " one\n")
	client := d.server().client(t, runsvc.WithTokenFile(path))
	call := func() error { _, err := client.Get(t.Context(), &runsvcv1.GetRequest{}); return err }
	if err := call(); err != nil {
		t.Fatal(err)
	}
	// An unreadable or broken file keeps the last token.
	for _, spoil := range []func(){func() { _ = os.Remove(path) }, func() { replace(t, path, "two tokens") }} {
		spoil()
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	replace(t, path, "two")
	d.accepts = "two"
	if err := call(); err != nil || len(d.asked) != 4 {
		t.Fatal(err, d.asked)
	}
}

func TestMissingTokenFileFailsClearly(t *testing.T) {
	d := &door{}
	client := d.server().client(t, runsvc.WithTokenFile(filepath.Join(t.TempDir(), "absent")))
	_, err := client.Get(t.Context(), &runsvcv1.GetRequest{})
	if !errors.Is(err, os.ErrNotExist) || status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "absent") || len(d.asked) != 0 {
		t.Fatal(err, d.asked)
	}
}

func TestRefusedCallIsRepeatedOnceWithFreshToken(t *testing.T) {
	file := tokenFile(t, "old")
	calls := 0
	for name, test := range map[string]struct {
		option runsvc.Option
		asked  int
	}{
		"value":         {runsvc.WithToken("old"), 1},
		"same file":     {runsvc.WithTokenFile(file), 1},
		"same function": {runsvc.WithTokenSource(func(context.Context) (string, error) { return "old", nil }), 1},
		"function":      {runsvc.WithTokenSource(func(context.Context) (string, error) { calls++; return strconv.Itoa(calls), nil }), 2},
	} {
		d := &door{accepts: "new"}
		_, err := d.server().client(t, test.option).Get(t.Context(), &runsvcv1.GetRequest{})
		if status.Code(err) != codes.Unauthenticated || len(d.asked) != test.asked {
			t.Error(name, err, d.asked)
		}
	}
}

func TestCallRefusedWithTokenOfFileIsRepeatedWithItsSuccessor(t *testing.T) {
	d := &door{accepts: "new"}
	path := tokenFile(t, "old")
	s := d.server()
	guarded := s.get
	s.get = func(ctx context.Context) (*runsvcv1.GetResponse, error) {
		replace(t, path, "new")
		return guarded(ctx)
	}
	if _, err := s.client(t, runsvc.WithTokenFile(path)).Get(t.Context(), &runsvcv1.GetRequest{}); err != nil || !slices.Equal(d.asked, []string{"Bearer old", "Bearer new"}) {
		t.Fatal(err, d.asked)
	}
}

func TestWatchResumesWithFreshTokenAtItsPosition(t *testing.T) {
	tokens := []string{"a", "b", "c"}
	next := func(context.Context) (string, error) {
		token := tokens[0]
		tokens = tokens[1:]
		return token, nil
	}
	expired := status.Error(codes.Unauthenticated, "expired")
	s := &server{}
	s.stream = func(request *runsvcv1.StreamStatusRequest, stream stream) error {
		if len(s.requests) == 2 {
			return expired
		}
		if err := stream.Send(changed(running, uint64(4+len(s.requests)))); err != nil {
			return err
		}
		return expired
	}
	var revisions []uint64
	var failure error
	for event, err := range s.client(t, runsvc.WithTokenSource(next)).Watch(t.Context(), runsvc.Thread("t")) {
		failure = err
		revisions = append(revisions, event.GetRevision())
	}
	// The second stream sent no event: its refusal reaches the caller.
	if status.Code(failure) != codes.Unauthenticated || !slices.Equal(revisions, []uint64{5, 0}) || len(s.requests) != 2 {
		t.Fatal(failure, revisions, s.requests)
	}
	if resumed := s.requests[1].(*runsvcv1.StreamStatusRequest); resumed.GetAfterRevision() != 5 {
		t.Fatal(resumed)
	}
}

func TestExpiredTokenIsAnOutageOfAnExecution(t *testing.T) {
	refusals := 3
	s := &server{lease: &runsvcv1.Lease{Ttl: durationpb.New(30 * time.Second)}}
	s.finish = func(request *runsvcv1.CompleteRequest) (*runsvcv1.CompleteResponse, error) {
		if refusals--; refusals >= 0 {
			return nil, status.Error(codes.Unauthenticated, "expired")
		}
		return finished(request)
	}
	s.update = func(*runsvcv1.UpdateProgressRequest) (*runsvcv1.UpdateProgressResponse, error) {
		return nil, status.Error(codes.Unauthenticated, "expired")
	}
	done, err := s.client(t, runsvc.WithToken("old")).Execute(t.Context(), "r", runsvc.ExecuteOptions{}, func(ctx context.Context, execution *runsvc.Execution) (*runsvcv1.Progress, error) {
		if applied, err := execution.Report(ctx, usage); applied || err != nil {
			t.Error(applied, err)
		}
		return nil, nil
	})
	if err != nil || done.GetStatus() != success {
		t.Fatal(done, err)
	}
}

func TestBothTokensInEnvironmentAreRejected(t *testing.T) {
	t.Setenv("RUNSVC_TOKEN", "a")
	t.Setenv("RUNSVC_TOKEN_FILE", "b")
	if _, err := runsvc.FromEnv(); err == nil || !strings.Contains(err.Error(), "unset one") {
		t.Fatal(err)
	}
	client, err := runsvc.FromEnv(runsvc.WithToken("c"))
	if err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
}

func TestRequestIDIsInTheError(t *testing.T) {
	s := &server{get: func(ctx context.Context) (*runsvcv1.GetResponse, error) {
		return nil, errors.Join(setTrailer(ctx, "x-request-id", "q-17"), status.Error(codes.NotFound, "no"))
	}}
	_, err := s.client(t).Get(t.Context(), &runsvcv1.GetRequest{})
	var failure *runsvc.Error
	if !errors.As(err, &failure) || failure.RequestID != "q-17" || !strings.Contains(err.Error(), "q-17") {
		t.Fatal(err)
	}
}
