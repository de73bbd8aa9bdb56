package runsvc

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/protobuf/proto"

	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// DefaultOutage is how long a watch goes on without a server unless WithOutage says otherwise.
const DefaultOutage = time.Minute

// WatchOption changes how a watch behaves.
type WatchOption func(*watch)

// connected: a stream that stood for longer had a connection, also if nothing happened on it: making one takes less.
const connected = 10 * time.Second

// WithOutage sets how long a watch goes on without a server.
func WithOutage(outage time.Duration) WatchOption {
	return func(w *watch) { w.outage = outage }
}

// Run asks for one run's changes, from its present state to its end.
func Run(runID string) *runsvcv1.StreamStatusRequest {
	return &runsvcv1.StreamStatusRequest{Target: &runsvcv1.StreamStatusRequest_RunId{RunId: runID}}
}

// Thread asks for the changes of a thread's runs, from those that are active on.
func Thread(threadID string) *runsvcv1.StreamStatusRequest {
	return &runsvcv1.StreamStatusRequest{Target: &runsvcv1.StreamStatusRequest_ThreadId{ThreadId: threadID}}
}

// All asks for the changes of all runs, from those that are active on.
func All() *runsvcv1.StreamStatusRequest {
	return &runsvcv1.StreamStatusRequest{Target: &runsvcv1.StreamStatusRequest_All{All: &runsvcv1.AllRuns{}}}
}

// Watch is every event that the request asks for, in order, none skipped and no change repeated, also across connections and
// servers that go away: it comes back and resumes where it was. A watch cut off within its snapshot gets a new one. Heartbeats
// are not handed on.
//
// The loop ends after the run's last change, when ctx is done or the client closed, or with an error. Leaving it ends the server's stream.
func (c *Client) Watch(ctx context.Context, request *runsvcv1.StreamStatusRequest, options ...WatchOption) iter.Seq2[*runsvcv1.StreamStatusResponse, error] {
	return func(yield func(*runsvcv1.StreamStatusResponse, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		w := watch{client: c, request: proto.CloneOf(request), yield: yield, outage: DefaultOutage}
		for _, option := range options {
			option(&w)
		}
		if err := w.untilOver(ctx); err != nil {
			yield(nil, err)
		}
	}
}

// watch is one Watch over as many streams as it takes. Its request holds its position.
type watch struct {
	client  *Client
	request *runsvcv1.StreamStatusRequest
	yield   func(*runsvcv1.StreamStatusResponse, error) bool
	outage  time.Duration
	waits   waits
	// When the present stream was begun.
	began time.Time
	// Since when the server is known to be gone. Zero: it is there.
	gone time.Time
	// The run is as it will be for ever; and nothing that was asked for can follow.
	ends, over bool
}

// errLeft: the loop was left.
var errLeft = errors.New("left")

// untilOver reads stream after stream. Nil: the server ended the watch, or the loop was left.
func (w *watch) untilOver(ctx context.Context) error {
	for {
		w.began = time.Now()
		err := w.stream(ctx)
		if err == io.EOF || err == errLeft {
			return nil
		}
		closed := w.client.conn.GetState() == connectivity.Shutdown
		if ctx.Err() != nil || closed || !lost(err) {
			return err
		}
		if w.over && !w.gone.IsZero() {
			// The server was asked once more for the end that it had no time to tell.
			return nil
		}
		if w.isAwayForTooLong() {
			return err
		}
		if err := w.waits.next(ctx, err); err != nil {
			return translated(err)
		}
	}
}

// isAwayForTooLong takes note that a stream was cut off.
func (w *watch) isAwayForTooLong() bool {
	if w.gone.IsZero() || time.Since(w.began) > connected {
		w.gone = time.Now()
	}
	return time.Since(w.gone) >= w.outage
}

// stream reads one stream to its end.
func (w *watch) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.client.StreamStatus(ctx, w.request)
	for err == nil {
		var event *runsvcv1.StreamStatusResponse
		if event, err = stream.Recv(); err == nil {
			err = w.take(event)
		}
	}
	return err
}

func (w *watch) take(event *runsvcv1.StreamStatusResponse) error {
	w.gone, w.waits = time.Time{}, waits{}
	if event.GetRevision() > 0 || event.GetEvent() == runsvcv1.StatusEvent_STATUS_EVENT_SNAPSHOT_END {
		w.request.AfterRevision = proto.Uint64(event.GetRevision())
	}
	if event.GetStoreId() != "" {
		w.request.StoreId = event.GetStoreId()
	}
	if w.request.GetRunId() != "" {
		if event.GetRun() != nil {
			w.ends = w.isLast(event)
		}
		w.over = w.ends && event.GetEvent() != runsvcv1.StatusEvent_STATUS_EVENT_SNAPSHOT
	}
	if event.GetEvent() == runsvcv1.StatusEvent_STATUS_EVENT_HEARTBEAT || w.yield(event, nil) {
		return nil
	}
	return errLeft
}

// isLast tells whether no change of the run that was asked for can follow.
func (w *watch) isLast(event *runsvcv1.StreamStatusResponse) bool {
	run := event.GetRun()
	switch {
	case event.GetEvent() == runsvcv1.StatusEvent_STATUS_EVENT_DELETED:
		return true
	case !ended(run):
		return false
	}
	acknowledged := run.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_INTERRUPTED || run.GetCancellation().GetAcknowledgedAt() != nil
	return acknowledged || !w.request.GetUntilAcknowledged()
}

// ended tells whether a run's status is final. One that a newer server has is not taken for one.
func ended(run *runsvcv1.Run) bool {
	switch run.GetStatus() {
	case runsvcv1.RunStatus_RUN_STATUS_SUCCESS, runsvcv1.RunStatus_RUN_STATUS_ERROR,
		runsvcv1.RunStatus_RUN_STATUS_TIMEOUT, runsvcv1.RunStatus_RUN_STATUS_INTERRUPTED:
		return true
	}
	return false
}

// lost tells whether an error means that the server or the way to it went away, unless a server of ours said it.
func lost(err error) bool {
	var failure *Error
	if !errors.As(err, &failure) {
		return false
	}
	gone := failure.Code == codes.Internal || failure.Code == codes.Canceled
	return failure.Code == codes.Unavailable || gone && !failure.isOurs
}
