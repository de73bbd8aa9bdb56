package runsvc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const authorizationHeader = "authorization"

// tokenSource gives the bearer tokens of a client.
type tokenSource interface {
	// token returns the token for a call. The empty token is not sent.
	token(ctx context.Context) (string, error)
	// renewed returns a token for the repetition of a call that the server has refused with the given token. It
	// returns false if a repetition cannot succeed.
	renewed(ctx context.Context, refused string) (string, bool, error)
}

// fixedToken is a token by value. A call that was refused with it is not repeated.
type fixedToken string

func (t fixedToken) token(context.Context) (string, error)               { return string(t), nil }
func (fixedToken) renewed(context.Context, string) (string, bool, error) { return "", false, nil }

// functionToken calls a function for each token.
type functionToken func(context.Context) (string, error)

func (t functionToken) token(ctx context.Context) (string, error) {
	text, err := t(ctx)
	if err != nil {
		return "", tokenError(err)
	}
	return text, nil
}

func (t functionToken) renewed(ctx context.Context, refused string) (string, bool, error) {
	text, err := t.token(ctx)
	return text, text != refused, err
}

// fileToken reads a file again when it has changed. While the file cannot be read, the last token stays.
type fileToken struct {
	path string

	lock sync.Mutex
	last string
	// The file as of the last reading; nil before the first one.
	read os.FileInfo
}

func (t *fileToken) token(context.Context) (string, error) {
	t.lock.Lock()
	defer t.lock.Unlock()
	info, err := os.Stat(t.path)
	if err == nil && !t.isRead(info) {
		err = t.reread(info)
	}
	if t.read == nil {
		return "", tokenError(fmt.Errorf("the token file: %w", err))
	}
	return t.last, nil
}

func (t *fileToken) renewed(_ context.Context, refused string) (string, bool, error) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if info, err := os.Stat(t.path); err == nil {
		_ = t.reread(info)
	}
	return t.last, t.last != refused, nil
}

// isRead reports whether the token is that of the file.
func (t *fileToken) isRead(info os.FileInfo) bool {
	return t.read != nil && os.SameFile(t.read, info) &&
		t.read.ModTime().Equal(info.ModTime()) && t.read.Size() == info.Size()
}

func (t *fileToken) reread(info os.FileInfo) error {
	content, err := os.ReadFile(t.path)
	if err != nil {
		return err
	}
	text := strings.TrimSpace(string(content))
	if text == "" || strings.ContainsFunc(text, isNoTokenCharacter) {
		return fmt.Errorf("%s must contain one token, and nothing else", t.path)
	}
	t.last, t.read = text, info
	return nil
}

func isNoTokenCharacter(r rune) bool { return r <= ' ' || r > '~' }

// tokenError returns the error of a call for which there is no token. The server was not asked.
func tokenError(cause error) error {
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return translate(cause)
	}
	text := "no token: " + cause.Error()
	return &Error{
		Code: codes.Unauthenticated, Message: text, cause: cause, status: status.New(codes.Unauthenticated, text),
	}
}

// isUnauthenticated reports whether the server refused the credentials of a call. It has then done nothing.
func isUnauthenticated(err error) bool {
	var failure *Error
	return errors.As(err, &failure) && failure.Code == codes.Unauthenticated
}

// tokenKey is the key of a context that has a token already.
type tokenKey struct{}

// withToken returns the context of a call with a token.
func withToken(ctx context.Context, token string) context.Context {
	ctx = context.WithValue(ctx, tokenKey{}, token)
	if token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, authorizationHeader, "Bearer "+token)
}

// authorize calls send with a token. If the server refuses it, and there may be a better one, authorize calls send
// once more.
func authorize(ctx context.Context, tokens tokenSource, send func(context.Context) error) error {
	token, err := tokens.token(ctx)
	if err != nil {
		return err
	}
	refusal := send(withToken(ctx, token))
	if !isUnauthenticated(refusal) {
		return refusal
	}
	renewed, isWorthRetry, err := tokens.renewed(ctx, token)
	if err != nil {
		return err
	}
	if !isWorthRetry {
		return refusal
	}
	return send(withToken(ctx, renewed))
}
