package io.github.runsvc.client;

import io.github.runsvc.v1.AcknowledgeCancelRequest;
import io.github.runsvc.v1.AcknowledgeCancelResponse;
import io.github.runsvc.v1.AdminServiceGrpc.AdminServiceBlockingV2Stub;
import io.github.runsvc.v1.CancelRequest;
import io.github.runsvc.v1.CancelResponse;
import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.CompleteResponse;
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
import io.github.runsvc.v1.ReconcileOrphansRequest;
import io.github.runsvc.v1.ReconcileOrphansResponse;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunServiceGrpc.RunServiceBlockingV2Stub;
import io.github.runsvc.v1.RunSpec;
import io.github.runsvc.v1.SetStatusRequest;
import io.github.runsvc.v1.SetStatusResponse;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.UpdateModelNameRequest;
import io.github.runsvc.v1.UpdateProgressRequest;
import io.github.runsvc.v1.UpdateProgressResponse;
import io.grpc.StatusException;
import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * A client of runsvc, for any number of threads.
 *
 * <pre>{@code
 * try (RunClient runs = RunClient.connect()) {
 *   Run run = runs.create(RunSpec.newBuilder().setThreadId("chat-1").build()).getRun();
 *   try (Watch watch = runs.watch(run.getRunId())) {
 *     watch.forEach(System.out::println);
 *   }
 * }
 * }</pre>
 *
 * <p>Every call has a deadline. Reads, and creations with a request_id, are made up to four times
 * within it when the server is not to be had; nothing else is sent twice. What fails throws a
 * {@link RunException}. A response that is nothing but a run is returned as the run.
 */
public final class RunClient implements AutoCloseable {
  private static final Duration OUTAGE = Duration.ofSeconds(60);

  private final Connection connection;
  private final Duration timeout;

  RunClient(Connection connection, Duration timeout) {
    this.connection = connection;
    this.timeout = timeout;
  }

  /**
   * A client as RUNSVC_TARGET, RUNSVC_TOKEN, RUNSVC_TLS_CA and RUNSVC_TIMEOUT say, or of a server
   * on this machine. It connects with its first call.
   */
  public static RunClient connect() {
    return builder().build();
  }

  /** A client of the server at this address; all else is as the environment says. */
  public static RunClient connect(String target) {
    return builder().target(target).build();
  }

  /** A client by other settings than the environment's. */
  public static RunClientBuilder builder() {
    return new RunClientBuilder(System.getenv());
  }

  /**
   * This client with another time that a call may take. Both have one connection, which closing
   * either closes.
   */
  public RunClient withTimeout(Duration timeout) {
    return new RunClient(connection, timeout);
  }

  /** Admits a run beside any others of its thread. */
  public CreateResponse create(RunSpec spec) {
    return create(CreateRequest.newBuilder().setSpec(spec).build());
  }

  /**
   * Admits a run beside any others of its thread; with a request_id, the same run however often it
   * is asked.
   */
  public CreateResponse create(CreateRequest request) {
    return call(!request.getRequestId().isEmpty(), stub -> stub.create(request));
  }

  /**
   * Admits a run by its multitask_strategy: unless another asks for more, {@link
   * RunException.ThreadBusy} or alone.
   */
  public CreateOrRejectResponse createOrReject(RunSpec spec) {
    return createOrReject(CreateOrRejectRequest.newBuilder().setSpec(spec).build());
  }

  /**
   * Admits a run by its multitask_strategy; with a request_id, the same run however often it is
   * asked.
   */
  public CreateOrRejectResponse createOrReject(CreateOrRejectRequest request) {
    return call(!request.getRequestId().isEmpty(), stub -> stub.createOrReject(request));
  }

  /** The run, with its kwargs. */
  public Run get(String runId) {
    GetRequest request = GetRequest.newBuilder().setRunId(runId).build();
    return call(true, stub -> stub.get(request)).getRun();
  }

  /** A thread's runs, newest first. */
  public RunPages listByThread(String threadId) {
    return listByThread(ListByThreadRequest.newBuilder().setThreadId(threadId).build());
  }

  /** A thread's runs, newest first, by page size and statuses. */
  public RunPages listByThread(ListByThreadRequest request) {
    return new RunPages(request, page -> call(true, stub -> stub.listByThread(page)));
  }

  /** Whether a thread has active runs, and which. */
  public HasInflightResponse hasInflight(String threadId) {
    HasInflightRequest request = HasInflightRequest.newBuilder().setThreadId(threadId).build();
    return call(true, stub -> stub.hasInflight(request));
  }

  /** An executor's report of a status; RUNNING makes it the holder. */
  public SetStatusResponse setStatus(SetStatusRequest request) {
    return call(false, stub -> stub.setStatus(request));
  }

  /** An executor's last report: status, error and usage at once. */
  public CompleteResponse complete(CompleteRequest request) {
    return call(false, stub -> stub.complete(request));
  }

  /** An executor's report of its usage; the answer's run tells it of a cancel. */
  public UpdateProgressResponse updateProgress(UpdateProgressRequest request) {
    return call(false, stub -> stub.updateProgress(request));
  }

  /** Sets or clears the model's name, until the run has ended. */
  public Run updateModelName(UpdateModelNameRequest request) {
    return call(false, stub -> stub.updateModelName(request)).getRun();
  }

  /** Renews the holder's lease. */
  public Run heartbeat(HeartbeatRequest request) {
    return call(false, stub -> stub.heartbeat(request)).getRun();
  }

  /** Cancels a run; the executor is to keep its checkpoint. */
  public CancelResponse cancel(String runId) {
    return cancel(CancelRequest.newBuilder().setRunId(runId).build());
  }

  /** Cancels a run; the outcome tells whether it had ended before. */
  public CancelResponse cancel(CancelRequest request) {
    return call(false, stub -> stub.cancel(request));
  }

  /** An executor's report that it has stopped a cancelled run. */
  public AcknowledgeCancelResponse acknowledgeCancel(AcknowledgeCancelRequest request) {
    return call(false, stub -> stub.acknowledgeCancel(request));
  }

  /**
   * Ends active runs that no living executor holds, for operators; call again while the answer says
   * that there are more.
   */
  public ReconcileOrphansResponse reconcileOrphans(ReconcileOrphansRequest request) {
    return adminCall(false, stub -> stub.reconcileOrphans(request));
  }

  /** Removes a run that has ended, for good; for operators. */
  public void delete(String runId) {
    DeleteRequest request = DeleteRequest.newBuilder().setRunId(runId).build();
    adminCall(false, stub -> stub.delete(request));
  }

  /** What the server is and what it holds, for operators. */
  public GetServerInfoResponse getServerInfo() {
    GetServerInfoRequest request = GetServerInfoRequest.getDefaultInstance();
    return adminCall(true, stub -> stub.getServerInfo(request));
  }

  /** Watches a run, from its present state until it has ended. */
  public Watch watch(String runId) {
    return watch(StreamStatusRequest.newBuilder().setRunId(runId).build());
  }

  /** Watches a run, a thread or all runs. It goes on for a minute without a server. */
  public Watch watch(StreamStatusRequest request) {
    return watch(request, OUTAGE);
  }

  /**
   * Watches a run, a thread or all runs, and goes on for that long without a server. It connects
   * with the first event.
   */
  public Watch watch(StreamStatusRequest request, Duration outage) {
    return watch(request, outage, System::nanoTime);
  }

  Watch watch(StreamStatusRequest request, Duration outage, LongSupplier clock) {
    return new Watch(connection, request, outage, clock);
  }

  /**
   * Executes a run on the present thread: starts it, keeps its lease, interrupts the work when
   * others have ended the run, and reports how it ended.
   *
   * <p>While there is no server the work goes on, however long, for time in which none serves
   * counts for no lease: only an answer stops it. The report of the end is repeated for as long as
   * the lease, but at least a minute.
   *
   * @return the run as reported: SUCCESS, ERROR with the message of what the work threw, or
   *     INTERRUPTED when it was cancelled
   * @throws RunLostException when it ended by other hands; what the work threw is suppressed by it
   * @throws RunException when the start or the report failed
   */
  public Run work(String runId, Worker worker, Execution.Work work) {
    return Execution.perform(this, worker, runId, work);
  }

  /** The generated stub, with the token and nothing else: no deadline, no second attempt. */
  public RunServiceBlockingV2Stub stub() {
    return connection.runs;
  }

  /** The generated stub for operators, as {@link #stub}. */
  public AdminServiceBlockingV2Stub adminStub() {
    return connection.admin;
  }

  /** Ends calls and watches under way, and closes the connection. */
  @Override
  public void close() {
    connection.close();
  }

  Duration timeout() {
    return timeout;
  }

  void retryNow() {
    connection.retryNow();
  }

  private <T> T call(boolean repeatable, Call<RunServiceBlockingV2Stub, T> call) {
    return new Attempts(connection, timeout, repeatable)
        .at(deadline -> call.with(connection.runs.withDeadline(deadline)));
  }

  private <T> T adminCall(boolean repeatable, Call<AdminServiceBlockingV2Stub, T> call) {
    return new Attempts(connection, timeout, repeatable)
        .at(deadline -> call.with(connection.admin.withDeadline(deadline)));
  }

  private interface Call<S, T> {
    T with(S stub) throws StatusException;
  }
}
