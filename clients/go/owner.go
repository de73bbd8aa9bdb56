package runsvc

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

const ownerHeader = "runsvc-owner"

// ForOwner returns a view of the client that works on the runs of one owner: it sends the owner with every call and
// every watch. The server refuses it, with PERMISSION_DENIED, to a caller that belongs to another owner. The view has
// the client's connections; to close either closes both.
func (c *Client) ForOwner(owner string) *Client {
	view := *c
	view.owner = &owner
	view.RunServiceClient = runsvcv1.NewRunServiceClient(ownedConn{c.conns.first, owner})
	view.Admin = runsvcv1.NewAdminServiceClient(ownedConn{c.conns.first, owner})
	return &view
}

// watchConn returns the connection of a watch, with the client's owner.
func (c *Client) watchConn(conn *grpc.ClientConn) grpc.ClientConnInterface {
	if c.owner == nil {
		return conn
	}
	return ownedConn{conn, *c.owner}
}

// ownedConn sends an owner with every call.
type ownedConn struct {
	conn  *grpc.ClientConn
	owner string
}

func (c ownedConn) Invoke(
	ctx context.Context, method string, request, response any, options ...grpc.CallOption,
) error {
	ctx, err := c.withOwner(ctx)
	if err != nil {
		return err
	}
	return c.conn.Invoke(ctx, method, request, response, options...)
}

func (c ownedConn) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	ctx, err := c.withOwner(ctx)
	if err != nil {
		return nil, err
	}
	return c.conn.NewStream(ctx, desc, method, options...)
}

func (c ownedConn) withOwner(ctx context.Context) (context.Context, error) {
	// HTTP/2 would trim a blank at either end, and so name another owner.
	if strings.ContainsFunc(c.owner, isNoTokenCharacter) {
		text := fmt.Sprintf("the owner %q has a character that is no printable ASCII; correct ForOwner", c.owner)
		return nil, &Error{
			Code: codes.InvalidArgument, Message: text, status: status.New(codes.InvalidArgument, text),
		}
	}
	return metadata.AppendToOutgoingContext(ctx, ownerHeader, c.owner), nil
}
