package runsvc

import "time"

// WorkerState is the state of a worker.
type WorkerState string

const (
	// WorkerStarting means that the server has answered no claim yet.
	WorkerStarting WorkerState = "starting"
	// WorkerWorking means that the worker claims and performs runs.
	WorkerWorking WorkerState = "working"
	// WorkerDisconnected means that the last claim failed; see WorkerHealth.DisconnectedSince. Runs in progress go on.
	WorkerDisconnected WorkerState = "disconnected"
	// WorkerDraining means that the worker was stopped and waits for its runs.
	WorkerDraining WorkerState = "draining"
	// WorkerStopped means that all handlers have returned.
	WorkerStopped WorkerState = "stopped"
)

// WorkerHealth describes a worker.
type WorkerHealth struct {
	State WorkerState
	// Running is the number of runs in progress.
	Running int
	// LastClaimAt is when the server last answered a claim, with runs or without. Zero: never.
	LastClaimAt time.Time
	// DisconnectedSince is when the present series of failed claims began. Zero: the last claim was answered.
	DisconnectedSince time.Time
	// Failure is the error of the last claim, or nil.
	Failure error
}

// Health returns the worker's present state.
func (w *Worker) Health() WorkerHealth {
	w.lock.Lock()
	defer w.lock.Unlock()
	health := w.health
	switch {
	case health.State != "":
	case !health.DisconnectedSince.IsZero():
		health.State = WorkerDisconnected
	case health.LastClaimAt.IsZero():
		health.State = WorkerStarting
	default:
		health.State = WorkerWorking
	}
	return health
}

func (w *Worker) setState(state WorkerState) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.health.State = state
}

func (w *Worker) addRunning(number int) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.health.Running += number
}

// room returns how many more runs the worker may perform.
func (w *Worker) room() int {
	w.lock.Lock()
	defer w.lock.Unlock()
	return w.options.Concurrency - w.health.Running
}

func (w *Worker) noteClaim() {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.health.LastClaimAt, w.health.DisconnectedSince, w.health.Failure = time.Now(), time.Time{}, nil
}

func (w *Worker) noteOutage(failure error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.health.Failure = failure
	if w.health.DisconnectedSince.IsZero() {
		w.health.DisconnectedSince = time.Now()
	}
}
