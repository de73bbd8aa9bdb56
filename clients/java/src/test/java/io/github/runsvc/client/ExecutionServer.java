package io.github.runsvc.client;

import com.google.protobuf.Message;
import io.github.runsvc.v1.AcknowledgeCancelRequest;
import io.github.runsvc.v1.AcknowledgeCancelResponse;
import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.CompleteResponse;
import io.github.runsvc.v1.GetRequest;
import io.github.runsvc.v1.GetResponse;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunStatus;
import io.github.runsvc.v1.SetStatusRequest;
import io.github.runsvc.v1.SetStatusResponse;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.UpdateProgressRequest;
import io.github.runsvc.v1.UpdateProgressResponse;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;

/** A server that accepts every report of an execution, and a client of it. */
final class ExecutionServer implements AutoCloseable {
  final ScriptedServer server = new ScriptedServer();
  final RunClient client = server.client().build();

  ExecutionServer() throws IOException {
    Run started = run(RunStatus.RUN_STATUS_RUNNING);
    answers(SetStatusRequest.class, SetStatusResponse.newBuilder().setRun(started).build());
    answers(GetRequest.class, GetResponse.newBuilder().setRun(started).build());
    answers(StreamStatusRequest.class, Answers.begins());
    answers(UpdateProgressRequest.class, UpdateProgressResponse.getDefaultInstance());
    Run success = run(RunStatus.RUN_STATUS_SUCCESS);
    answers(CompleteRequest.class, CompleteResponse.newBuilder().setRun(success).build());
    Run interrupted = run(RunStatus.RUN_STATUS_INTERRUPTED);
    answers(
        AcknowledgeCancelRequest.class,
        AcknowledgeCancelResponse.newBuilder().setRun(interrupted).build());
  }

  static Run run(RunStatus status) {
    return Run.newBuilder().setRunId("r").setStatus(status).setRevision(2).build();
  }

  /** Answers requests of this class with a message. */
  void answers(Class<? extends Message> request, Message answer) {
    answers(request, Answers.sends(answer));
  }

  /** Gives these answers to requests of this class. The last one is repeated. */
  @SafeVarargs
  @SuppressWarnings("varargs")
  final void answers(Class<? extends Message> request, Consumer<StreamObserver<?>>... answers) {
    server.answersTo.put(request, new LinkedBlockingQueue<>(List.of(answers)));
  }

  /** Returns the requests of this class. */
  <T> List<T> requests(Class<T> request) {
    return server.requests.stream().filter(request::isInstance).map(request::cast).toList();
  }

  /** Returns the last request of this class. */
  <T> T last(Class<T> request) {
    List<T> all = requests(request);
    return all.get(all.size() - 1);
  }

  @Override
  public void close() {
    client.close();
    server.close();
  }
}
