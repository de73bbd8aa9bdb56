package io.github.runsvc.client;

import io.github.runsvc.v1.AcknowledgeCancelRequest;
import io.github.runsvc.v1.AcknowledgeCancelResponse;
import io.github.runsvc.v1.AdminServiceGrpc.AdminServiceBlockingV2Stub;
import io.github.runsvc.v1.CancelRequest;
import io.github.runsvc.v1.CancelResponse;
import io.github.runsvc.v1.ClaimRequest;
import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.CompleteResponse;
import io.github.runsvc.v1.ConcurrencyLimit;
import io.github.runsvc.v1.CreateOrRejectRequest;
import io.github.runsvc.v1.CreateOrRejectResponse;
import io.github.runsvc.v1.CreateRequest;
import io.github.runsvc.v1.CreateResponse;
import io.github.runsvc.v1.DeleteRequest;
import io.github.runsvc.v1.GetRequest;
import io.github.runsvc.v1.GetServerInfoRequest;
import io.github.runsvc.v1.GetServerInfoResponse;
import io.github.runsvc.v1.HasInflightRequest;
import io.github.runsvc.v1.HasInflightResponse;
import io.github.runsvc.v1.HeartbeatRequest;
import io.github.runsvc.v1.ListByThreadRequest;
import io.github.runsvc.v1.ListConcurrencyLimitsRequest;
import io.github.runsvc.v1.ReconcileOrphansRequest;
import io.github.runsvc.v1.ReconcileOrphansResponse;
import io.github.runsvc.v1.ReleaseRequest;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunServiceGrpc.RunServiceBlockingV2Stub;
import io.github.runsvc.v1.RunSpec;
import io.github.runsvc.v1.SetConcurrencyLimitRequest;
import io.github.runsvc.v1.SetConcurrencyLimitResponse;
import io.github.runsvc.v1.SetStatusRequest;
import io.github.runsvc.v1.SetStatusResponse;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.UpdateMetadataRequest;
import io.github.runsvc.v1.UpdateMetadataResponse;
import io.github.runsvc.v1.UpdateModelNameRequest;
import io.github.runsvc.v1.UpdateProgressRequest;
import io.github.runsvc.v1.UpdateProgressResponse;
import java.time.Duration;
import java.util.List;
import java.util.function.LongSupplier;

/**
 * A client of runsvc. It is safe for use by several threads: create one and share it.
 *
 * <pre>{@code
 * try (RunClient client = RunClient.connect()) {
 *   Run run = client.create(RunSpec.newBuilder().setThreadId("chat-1").build()).getRun();
 *   try (Watch watch = client.watch(run.getRunId())) {
 *     watch.forEach(System.out::println);
 *   }
 * }
 * }</pre>
 *
 * <p>Every call has a deadline. Within it, reads and creations with a request_id are sent up to
 * four times while the server is UNAVAILABLE or overloaded; every other call is sent once. A failed
 * call throws a {@link RunException}. A response that contains only a run is returned as a {@link
 * Run}.
 */
public final class RunClient implements AutoCloseable {
  private static final Duration OUTAGE = Duration.ofSeconds(60);

  private final Calls calls;

  RunClient(Calls calls) {
    this.calls = calls;
  }

  /**
   * Returns a client configured by the environment variables RUNSVC_TARGET, RUNSVC_TOKEN,
   * RUNSVC_TOKEN_FILE, RUNSVC_TLS_CA, RUNSVC_TLS_CERT, RUNSVC_TLS_KEY and RUNSVC_TIMEOUT; see
   * {@link RunClientBuilder}. The default is a server on this machine. The client connects with its
   * first call.
   */
  public static RunClient connect() {
    return builder().build();
  }

  /** Returns a client of the server at an address, otherwise configured by the environment. */
  public static RunClient connect(String target) {
    return builder().target(target).build();
  }

  /** Returns a builder, which starts from the environment. */
  public static RunClientBuilder builder() {
    return new RunClientBuilder(System.getenv());
  }

  /**
   * Returns this client with another deadline for calls. Both share one connection: closing either
   * client closes it.
   *
   * @throws IllegalArgumentException if the timeout is not positive
   */
  public RunClient withTimeout(Duration timeout) {
    return new RunClient(new Calls(calls.connections, Lengths.timeout(timeout), calls.owner));
  }

  /**
   * Returns a view of this client that works on the runs of one owner: it sends the owner with
   * every call and every watch. The server refuses it, with PERMISSION_DENIED, to a caller that
   * belongs to another owner. Both clients share their connections: closing either closes them.
   *
   * @throws IllegalArgumentException if the owner has characters other than printable ASCII
   */
  public RunClient forOwner(String owner) {
    // HTTP/2 would trim a blank at either end, and so name another owner.
    if (!TokenFile.isPrintable(owner)) {
      throw new IllegalArgumentException(
          "The owner '" + owner + "' has a character that is no printable ASCII; correct it");
    }
    return new RunClient(new Calls(calls.connections, calls.timeout, owner));
  }

  /** Creates a run beside any active runs of its thread. */
  public CreateResponse create(RunSpec spec) {
    return create(CreateRequest.newBuilder().setSpec(spec).build());
  }

  /**
   * Creates a run beside any active runs of its thread. With a request_id it may be repeated: the
   * run of the first request is returned.
   */
  public CreateResponse create(CreateRequest request) {
    return call(!request.getRequestId().isEmpty(), stub -> stub.create(request));
  }

  /**
   * Creates a run by its multitask_strategy; by default it is rejected while its thread is busy.
   *
   * @throws RunException.ThreadBusy if the thread has an active run and the strategy rejects
   */
  public CreateOrRejectResponse createOrReject(RunSpec spec) {
    return createOrReject(CreateOrRejectRequest.newBuilder().setSpec(spec).build());
  }

  /**
   * Creates a run by its multitask_strategy. With a request_id, a repeated request returns the run
   * of the first one.
   *
   * @throws RunException.ThreadBusy if the thread has an active run and the strategy rejects
   */
  public CreateOrRejectResponse createOrReject(CreateOrRejectRequest request) {
    return call(!request.getRequestId().isEmpty(), stub -> stub.createOrReject(request));
  }

  /** Returns a run, with its kwargs. */
  public Run get(String runId) {
    return call(true, stub -> stub.get(GetRequest.newBuilder().setRunId(runId).build())).getRun();
  }

  /** Returns the runs of a thread, newest first. */
  public RunPages listByThread(String threadId) {
    return listByThread(ListByThreadRequest.newBuilder().setThreadId(threadId).build());
  }

  /** Returns the runs of a thread, newest first, with a page size or filtered by status. */
  public RunPages listByThread(ListByThreadRequest request) {
    return new RunPages(request, page -> call(true, stub -> stub.listByThread(page)));
  }

  /** Returns whether a thread has active runs, and their ids. */
  public HasInflightResponse hasInflight(String threadId) {
    var request = HasInflightRequest.newBuilder().setThreadId(threadId).build();
    return call(true, stub -> stub.hasInflight(request));
  }

  /**
   * Claims runs, as an executor: they become RUNNING. The deadline is the timeout of a call after
   * the wait of the request. With a request_id, a repeated request returns the runs of the first.
   */
  public List<Run> claim(ClaimRequest request) {
    boolean repeatable = !request.getRequestId().isEmpty();
    return calls
        .make(calls.runs, Calls.heldFor(request), repeatable, stub -> stub.claim(request))
        .getRunsList();
  }

  /** Gives a run back, as its holder: it becomes PENDING again, and the attempt does not count. */
  public Run release(ReleaseRequest request) {
    return call(false, stub -> stub.release(request)).getRun();
  }

  /** Reports a status, as an executor. RUNNING starts the run and makes the executor its holder. */
  public SetStatusResponse setStatus(SetStatusRequest request) {
    return call(false, stub -> stub.setStatus(request));
  }

  /** Reports the end of a run, as an executor: status, error and usage in one call. */
  public CompleteResponse complete(CompleteRequest request) {
    return call(false, stub -> stub.complete(request));
  }

  /** Reports usage, as an executor. The run in the answer shows whether it was cancelled. */
  public UpdateProgressResponse updateProgress(UpdateProgressRequest request) {
    return call(false, stub -> stub.updateProgress(request));
  }

  /** Sets and removes top-level keys of a run's metadata, also after the run has ended. */
  public UpdateMetadataResponse updateMetadata(UpdateMetadataRequest request) {
    return call(false, stub -> stub.updateMetadata(request));
  }

  /** Sets or clears the model name of an active run. */
  public Run updateModelName(UpdateModelNameRequest request) {
    return call(false, stub -> stub.updateModelName(request)).getRun();
  }

  /** Renews the lease of a run, as its holder. */
  public Run heartbeat(HeartbeatRequest request) {
    return call(false, stub -> stub.heartbeat(request)).getRun();
  }

  /** Cancels a run with the action INTERRUPT: the executor keeps the run's checkpoint. */
  public CancelResponse cancel(String runId) {
    return cancel(CancelRequest.newBuilder().setRunId(runId).build());
  }

  /** Cancels a run. The outcome shows whether this call cancelled it. */
  public CancelResponse cancel(CancelRequest request) {
    return call(false, stub -> stub.cancel(request));
  }

  /** Reports that a cancelled run has stopped, as its executor. */
  public AcknowledgeCancelResponse acknowledgeCancel(AcknowledgeCancelRequest request) {
    return call(false, stub -> stub.acknowledgeCancel(request));
  }

  /** Ends active runs without a live lease, for operators. Repeat the call while there are more. */
  public ReconcileOrphansResponse reconcileOrphans(ReconcileOrphansRequest request) {
    return adminCall(false, stub -> stub.reconcileOrphans(request));
  }

  /** Removes a run that has ended, for operators. */
  public void delete(String runId) {
    adminCall(false, stub -> stub.delete(DeleteRequest.newBuilder().setRunId(runId).build()));
  }

  /** Sets or removes the limit of the active runs with a concurrency_key, for operators. */
  public SetConcurrencyLimitResponse setConcurrencyLimit(SetConcurrencyLimitRequest request) {
    return adminCall(false, stub -> stub.setConcurrencyLimit(request));
  }

  /** Returns all concurrency limits, for operators. */
  public List<ConcurrencyLimit> listConcurrencyLimits() {
    var request = ListConcurrencyLimitsRequest.getDefaultInstance();
    return adminCall(true, stub -> stub.listConcurrencyLimits(request)).getLimitsList();
  }

  /** Returns the server's version, store, revisions and counts, for operators. */
  public GetServerInfoResponse getServerInfo() {
    return adminCall(true, stub -> stub.getServerInfo(GetServerInfoRequest.getDefaultInstance()));
  }

  /** Watches a run, from its present state to its end. */
  public Watch watch(String runId) {
    return watch(StreamStatusRequest.newBuilder().setRunId(runId).build());
  }

  /** Watches a run, a thread or all runs. Without a server, the watch fails after one minute. */
  public Watch watch(StreamStatusRequest request) {
    return watch(request, OUTAGE);
  }

  /**
   * Watches a run, a thread or all runs. The watch connects when its first event is read.
   *
   * @param outage how long the watch tries to reconnect before it fails with the last error. If it
   *     is zero or negative, the watch does not reconnect.
   */
  public Watch watch(StreamStatusRequest request, Duration outage) {
    return watch(request, outage, System::nanoTime);
  }

  Watch watch(StreamStatusRequest request, Duration outage, LongSupplier clock) {
    return new Watch(calls.connections, calls::owned, request, outage, clock);
  }

  /** Executes a run with a new worker id; see {@link #execute(String, ExecuteOptions, Handler)}. */
  public Run execute(String runId, Handler handler) {
    return execute(runId, ExecuteOptions.forNewWorker(), handler);
  }

  /**
   * Executes a run on the calling thread: starts it, reads its input, calls the handler, renews the
   * lease, interrupts the thread if the run ends elsewhere, and reports how the run ended. If the
   * input cannot be read, the run ends as ERROR.
   *
   * <p>If the server is unavailable, the handler keeps running: such time does not count towards
   * lease expiry, and only an answer of the server stops the handler, unless the options have a
   * fence. The report of the end is repeated for as long as the lease, and for at least one minute.
   *
   * <p>After a {@link RetryableException} the run becomes PENDING again if attempts are left. If
   * the handler throws an {@link Error}, the run ends as ERROR, and the error is thrown. If the
   * caller interrupts the thread, the end is still reported, and the thread is interrupted again
   * afterwards; the report is then repeated for the timeout of a call. If the server rejects the
   * usage, the result or the stop reason, the same end is reported without the three, and {@link
   * RunException.InvalidArgument} is thrown.
   *
   * @return the run as reported, with its kwargs: SUCCESS, ERROR with the message of the handler's
   *     exception, or INTERRUPTED if it was cancelled
   * @throws RunLostException if the run ended elsewhere, was removed, or is held by another
   *     executor
   * @throws RunException if the start or the report failed
   */
  public Run execute(String runId, ExecuteOptions options, Handler handler) {
    return Execution.execute(this, options, runId, handler);
  }

  /** Returns a worker, which claims runs and performs them; see {@link Worker#run}. */
  public Worker worker(WorkerOptions options, Handler handler) {
    return new Worker(this, options, handler);
  }

  /** Returns the generated stub. It sends the token, but has no deadline and no retries. */
  public RunServiceBlockingV2Stub stub() {
    return calls.runs;
  }

  /** Returns the generated stub for operators; see {@link #stub}. */
  public AdminServiceBlockingV2Stub adminStub() {
    return calls.admin;
  }

  /** Ends calls and watches in progress, and closes the connection. */
  @Override
  public void close() {
    calls.connections.close();
  }

  Duration timeout() {
    return calls.timeout;
  }

  void retryNow() {
    calls.connections.retryNow();
  }

  private <T> T call(boolean repeatable, Calls.Call<RunServiceBlockingV2Stub, T> call) {
    return calls.make(calls.runs, Duration.ZERO, repeatable, call);
  }

  private <T> T adminCall(boolean repeatable, Calls.Call<AdminServiceBlockingV2Stub, T> call) {
    return calls.make(calls.admin, Duration.ZERO, repeatable, call);
  }
}
