package runsvc

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"google.golang.org/protobuf/proto"

	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// DefaultOutage is how long a watch survives without a server, unless WithOutage sets another time.
const DefaultOutage = time.Minute

// minConnected is longer than any attempt to connect. A stream that lasted longer had a connection, even if no event
// arrived.
const minConnected = 10 * time.Second

// WatchOption configures a watch.
type WatchOption func(*watch)

// WithOutage sets how long a watch tries to reconnect before it fails with the last error. With zero or less, the
// watch does not reconnect.
func WithOutage(outage time.Duration) WatchOption {
	return func(w *watch) { w.outage = outage }
}

// Run returns a request to watch one run, from its present state to its end.
func Run(runID string) *runsvcv1.StreamStatusRequest {
	return &runsvcv1.StreamStatusRequest{Target: &runsvcv1.StreamStatusRequest_RunId{RunId: runID}}
}

// Thread returns a request to watch the runs of a thread: first its active runs, then every change.
func Thread(threadID string) *runsvcv1.StreamStatusRequest {
	return &runsvcv1.StreamStatusRequest{Target: &runsvcv1.StreamStatusRequest_ThreadId{ThreadId: threadID}}
}

// All returns a request to watch all runs: first the active runs, then every change.
func All() *runsvcv1.StreamStatusRequest {
	return &runsvcv1.StreamStatusRequest{Target: &runsvcv1.StreamStatusRequest_All{All: &runsvcv1.AllRuns{}}}
}

// Watch iterates over the events of a watch in revision order, without a gap and without a repeated change. After a
// lost connection or a restart of the server it reconnects and resumes from its position. If the connection is lost
// within the snapshot, the watch starts again with a new snapshot. Heartbeats are not yielded.
//
// The loop ends after the last change of a watched run. It fails when ctx ends, when the client is closed, when the
// server rejects the request, or after an outage; the error is yielded once, as the last value. To leave the loop
// ends the server's stream.
func (c *Client) Watch(
	ctx context.Context, request *runsvcv1.StreamStatusRequest, options ...WatchOption,
) iter.Seq2[*runsvcv1.StreamStatusResponse, error] {
	return func(yield func(*runsvcv1.StreamStatusResponse, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		w := watch{client: c, request: proto.CloneOf(request), yield: yield, outage: DefaultOutage}
		for _, option := range options {
			option(&w)
		}
		if err := w.readStreams(ctx); err != nil {
			yield(nil, err)
		}
	}
}

// watch is the state of one Watch over several streams. Its request holds the position to resume from.
type watch struct {
	client  *Client
	request *runsvcv1.StreamStatusRequest
	yield   func(*runsvcv1.StreamStatusResponse, error) bool
	outage  time.Duration
	pauses  backoffPauses
	// When the present stream was opened.
	opened time.Time
	// When the first stream of the present outage failed. Zero: there is no outage.
	outageBegan time.Time
	// The watched run has reached its final state.
	final bool
	// The token of the present stream, or, if it was renewed, of the next one.
	token   string
	renewed bool
	// The server refused the token, and has sent nothing since.
	refused bool
	// The final state was yielded, and the snapshot is complete: no event can follow.
	complete bool
}

// errLoopLeft means that the caller left the loop.
var errLoopLeft = errors.New("the loop was left")

// readStreams reads one stream after the other. It returns nil if the server ended the watch or the caller left the
// loop.
func (w *watch) readStreams(ctx context.Context) error {
	for {
		w.opened = time.Now()
		err := w.readStream(ctx)
		if err == io.EOF || err == errLoopLeft {
			return nil
		}
		if ctx.Err() != nil || w.client.conns.isClosed() {
			return err
		}
		if isUnauthenticated(err) && !w.refused {
			if err := w.renewToken(ctx, err); err != nil {
				return err
			}
			continue
		}
		if !isConnectionLoss(err) {
			return err
		}
		if w.complete && !w.outageBegan.IsZero() {
			// The client asked a second time for the end of the stream, and no event is missing.
			return nil
		}
		if w.isOutageOver() {
			return uncancelled(err)
		}
		if err := w.pauses.wait(ctx, err); err != nil {
			return translate(err)
		}
	}
}

// isOutageOver records the failure of a stream, and reports whether the watch has been without a server for too long.
func (w *watch) isOutageOver() bool {
	if w.outageBegan.IsZero() || time.Since(w.opened) > minConnected {
		w.outageBegan = time.Now()
	}
	return time.Since(w.outageBegan) >= w.outage
}

// renewToken fetches the token for a stream in place of the one that the server refused. It returns an error if that
// cannot succeed.
func (w *watch) renewToken(ctx context.Context, refusal error) error {
	w.refused = true
	renewed, isWorthRetry, err := w.client.tokens.renewed(ctx, w.token)
	if err != nil {
		return err
	}
	if !isWorthRetry {
		return refusal
	}
	w.token, w.renewed = renewed, true
	return nil
}

// nextToken returns the token for the next stream.
func (w *watch) nextToken(ctx context.Context) (string, error) {
	if w.renewed {
		w.renewed = false
		return w.token, nil
	}
	return w.client.tokens.token(ctx)
}

func (w *watch) readStream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var err error
	if w.token, err = w.nextToken(ctx); err != nil {
		return err
	}
	line, err := w.client.conns.take()
	if err != nil {
		return translate(err)
	}
	defer w.client.conns.giveBack(line)
	service := runsvcv1.NewRunServiceClient(w.client.watchConn(line.conn))
	stream, err := service.StreamStatus(withToken(ctx, w.token), w.request)
	for err == nil {
		var event *runsvcv1.StreamStatusResponse
		if event, err = stream.Recv(); err == nil {
			err = w.accept(event)
		}
	}
	return err
}

// accept moves the position and yields the event.
func (w *watch) accept(event *runsvcv1.StreamStatusResponse) error {
	w.outageBegan, w.pauses, w.refused = time.Time{}, backoffPauses{}, false
	if event.GetRevision() > 0 || event.GetEvent() == runsvcv1.StatusEvent_STATUS_EVENT_SNAPSHOT_END {
		w.request.AfterRevision = proto.Uint64(event.GetRevision())
	}
	if event.GetStoreId() != "" {
		w.request.StoreId = event.GetStoreId()
	}
	if w.request.GetRunId() != "" {
		if event.GetRun() != nil {
			w.final = w.isFinal(event)
		}
		w.complete = w.final && event.GetEvent() != runsvcv1.StatusEvent_STATUS_EVENT_SNAPSHOT
	}
	if event.GetEvent() == runsvcv1.StatusEvent_STATUS_EVENT_HEARTBEAT || w.yield(event, nil) {
		return nil
	}
	return errLoopLeft
}

// isFinal reports whether no further change of the watched run can follow.
func (w *watch) isFinal(event *runsvcv1.StreamStatusResponse) bool {
	run := event.GetRun()
	switch {
	case event.GetEvent() == runsvcv1.StatusEvent_STATUS_EVENT_DELETED:
		return true
	case !isTerminal(run):
		return false
	}
	if run.GetStatus() != runsvcv1.RunStatus_RUN_STATUS_INTERRUPTED || !w.request.GetUntilAcknowledged() {
		return true
	}
	return run.GetCancellation().GetAcknowledgedAt() != nil
}

// isTerminal reports whether a run has ended. A status that only a newer server knows does not count as an end.
func isTerminal(run *runsvcv1.Run) bool {
	switch run.GetStatus() {
	case runsvcv1.RunStatus_RUN_STATUS_SUCCESS, runsvcv1.RunStatus_RUN_STATUS_ERROR,
		runsvcv1.RunStatus_RUN_STATUS_TIMEOUT, runsvcv1.RunStatus_RUN_STATUS_INTERRUPTED:
		return true
	}
	return false
}
