package runsvc

import (
	"errors"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
)

// A server accepts 250 calls at a time on one connection; more would wait.
const (
	// maxSharedWatches is the number of watches on the connection of the other calls, which need room for themselves.
	maxSharedWatches = 50
	// maxOwnWatches is the number of watches on each further connection.
	maxOwnWatches = 90
)

// connections are the connection of a client's calls, and further ones for its watches.
type connections struct {
	first *grpc.ClientConn
	dial  func() (*grpc.ClientConn, error)

	lock   sync.Mutex
	lines  []*line
	closed bool
}

// line is a connection with room for a number of watches.
type line struct {
	conn       *grpc.ClientConn
	limit, use int
}

func newConnections(dial func() (*grpc.ClientConn, error)) (*connections, error) {
	first, err := dial()
	if err != nil {
		return nil, err
	}
	return &connections{first: first, dial: dial, lines: []*line{{conn: first, limit: maxSharedWatches}}}, nil
}

// take returns a connection with room for one more watch. It opens one if all are full.
func (c *connections) take() (*line, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	for _, line := range c.lines {
		if line.use < line.limit {
			line.use++
			return line, nil
		}
	}
	if c.closed {
		return nil, grpc.ErrClientConnClosing
	}
	conn, err := c.dial()
	if err != nil {
		return nil, err
	}
	opened := &line{conn: conn, limit: maxOwnWatches, use: 1}
	c.lines = append(c.lines, opened)
	return opened, nil
}

// giveBack returns the room of a watch that has ended.
func (c *connections) giveBack(line *line) {
	c.lock.Lock()
	defer c.lock.Unlock()
	line.use--
}

func (c *connections) isClosed() bool { return c.first.GetState() == connectivity.Shutdown }

func (c *connections) close() error {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.closed = true
	var failures []error
	for _, line := range c.lines {
		failures = append(failures, line.conn.Close())
	}
	return errors.Join(failures...)
}
