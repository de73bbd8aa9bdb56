package runsvc

import (
	"context"
	"crypto/rand"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// claimRuns claims runs and starts them until ctx ends, or until the server rejects a claim.
func (w *Worker) claimRuns(ctx, handling context.Context) error {
	for w.waitForRoom(ctx) {
		runs, sent, err := w.claim(ctx)
		if err != nil {
			return err
		}
		for _, run := range runs {
			if ctx.Err() != nil {
				w.giveBack(run)
			} else {
				w.start(handling, run, sent)
			}
		}
	}
	return nil
}

// waitForRoom waits until there is room for another run. It returns false if ctx has ended.
func (w *Worker) waitForRoom(ctx context.Context) bool {
	for w.room() == 0 {
		select {
		case <-ctx.Done():
			return false
		case <-w.freed:
		}
	}
	return ctx.Err() == nil
}

// claim asks for as many runs as there is room for, and returns them with the time at which it asked. It repeats the
// claim through outages, with the same request id: an answer may have been lost. It returns no run and no error if ctx
// has ended.
func (w *Worker) claim(ctx context.Context) ([]*runsvcv1.Run, time.Time, error) {
	request := &runsvcv1.ClaimRequest{
		WorkerId:     w.options.WorkerID,
		AssistantIds: w.options.Assistants,
		AnyAssistant: w.options.AnyAssistant,
		MaxRuns:      int32(min(w.room(), maxClaim)),
		LeaseTtl:     durationpb.New(w.options.Lease),
		RequestId:    rand.Text(),
	}
	var pauses backoffPauses
	for {
		request.Wait = durationpb.New(w.nextWait())
		sent := time.Now()
		answer, err := w.client.Claim(ctx, request)
		switch {
		case err == nil:
			w.noteClaim()
			return answer.GetRuns(), sent, nil
		case ctx.Err() != nil:
			return nil, sent, nil
		case !isOutage(err):
			return nil, sent, err
		}
		w.noteOutage(err)
		if pauses.wait(ctx, err) != nil {
			return nil, sent, nil
		}
	}
}

// nextWait returns how long the server may hold the next claim. The first one, and one after an outage, is answered at
// once, and shows that there is a server.
func (w *Worker) nextWait() time.Duration {
	if w.Health().State != WorkerWorking {
		return 0
	}
	return w.options.Wait
}

// giveBack releases a run that was claimed and not begun.
func (w *Worker) giveBack(run *runsvcv1.Run) {
	done, err := w.client.release(context.Background(), run, w.options.WorkerID)
	if endsExecution(err) {
		// The run has ended, or the server has given it to another worker.
		return
	}
	if done == nil {
		done = run
	}
	w.options.Ended(done, err)
}

// release gives a run back, for the timeout of a call.
func (c *Client) release(ctx context.Context, run *runsvcv1.Run, workerID string) (*runsvcv1.Run, error) {
	attempt := run.GetAttempt()
	request := &runsvcv1.ReleaseRequest{RunId: run.GetRunId(), WorkerId: workerID, Attempt: &attempt}
	answer, err := repeat(ctx, c.timeout, request, c.Release)
	return answer.GetRun(), err
}
