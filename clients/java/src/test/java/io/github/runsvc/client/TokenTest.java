package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.CompleteResponse;
import io.github.runsvc.v1.GetResponse;
import io.github.runsvc.v1.Progress;
import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunStatus;
import io.github.runsvc.v1.StatusEvent;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.StreamStatusResponse;
import io.github.runsvc.v1.UpdateProgressRequest;
import io.grpc.Status.Code;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenTest {
  private static final GetResponse FOUND =
      GetResponse.newBuilder().setRun(Run.newBuilder().setRunId("r")).build();
  private static final Consumer<StreamObserver<?>> EXPIRED = Answers.breaks(Code.UNAUTHENTICATED);

  @TempDir Path folder;
  private ScriptedServer server;
  private Path file;

  @BeforeEach
  void start() throws IOException {
    server = new ScriptedServer();
    file = folder.resolve("token");
  }

  @AfterEach
  void stop() {
    server.close();
  }

  /** Gives the file another content, as a rename does. */
  private void replace(String content) {
    try {
      Path fresh = Files.writeString(folder.resolve("fresh"), content);
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException failure) {
      throw new AssertionError(failure);
    }
  }

  @Test
  void fileIsReadAgainWhenItHasChanged() throws IOException {
    server.answers.add(Answers.sends(FOUND));
    replace(" one\n");
    try (RunClient client = server.client().tokenFile(file).build()) {
      client.get("r");
      // An unreadable or broken file keeps the last token.
      Files.delete(file);
      client.get("r");
      replace("two tokens");
      client.get("r");
      replace("two");
      client.get("r");
    }
    assertEquals(
        List.of("Bearer one", "Bearer one", "Bearer one", "Bearer two"), server.authorizations);
  }

  @Test
  void missingFileFailsClearly() {
    try (RunClient client = server.client().tokenFile(file).build()) {
      RunException failure = assertThrows(RunException.class, () -> client.get("r"));
      assertEquals(Code.UNAUTHENTICATED, failure.code());
      assertTrue(failure.getMessage().contains(file.toString()));
      assertEquals(NoSuchFileException.class, failure.getCause().getCause().getCause().getClass());
      assertThrows(RunException.class, () -> client.watch("r").hasNext());
    }
    assertTrue(server.requests.isEmpty());
  }

  @Test
  void refusedCallIsRepeatedOnceIfThereMayBeBetterToken() {
    server.answers.add(EXPIRED);
    replace("old");
    AtomicInteger number = new AtomicInteger();
    Map<RunClientBuilder, Integer> attempts =
        Map.of(
            server.client().token("old"), 1,
            server.client().tokenFile(file), 1,
            server.client().tokenSupplier(() -> "old"), 1,
            server.client().tokenSupplier(() -> "t" + number.getAndIncrement()), 2);
    attempts.forEach(
        (settings, expected) -> {
          server.requests.clear();
          try (RunClient client = settings.build()) {
            assertEquals(
                Code.UNAUTHENTICATED,
                assertThrows(RunException.class, () -> client.get("r")).code());
          }
          assertEquals(expected, server.requests.size());
        });
  }

  @Test
  void callIsRepeatedWithSuccessorInFile() {
    replace("old");
    server.answers.add(
        observer -> {
          replace("new");
          EXPIRED.accept(observer);
        });
    server.answers.add(Answers.sends(FOUND));
    try (RunClient client = server.client().tokenFile(file).build()) {
      assertEquals("r", client.get("r").getRunId());
    }
    assertEquals(List.of("Bearer old", "Bearer new"), server.authorizations);
  }

  @Test
  void watchResumesWithFreshTokenAtItsPosition() {
    StreamStatusResponse change =
        StreamStatusResponse.newBuilder()
            .setEvent(StatusEvent.STATUS_EVENT_CHANGED)
            .setRevision(5)
            .build();
    server.answers.add(Answers.breaks(Code.UNAUTHENTICATED, change));
    server.answers.add(EXPIRED);
    Queue<String> tokens = new ArrayDeque<>(List.of("a", "b", "c"));
    try (RunClient client = server.client().tokenSupplier(tokens::remove).build()) {
      Watch watch = client.watch("r");
      assertEquals(5, watch.next().getRevision());
      // The second stream sends no event: its refusal reaches the caller.
      assertEquals(Code.UNAUTHENTICATED, assertThrows(RunException.class, watch::hasNext).code());
      assertFalse(watch.hasNext());
    }
    assertEquals(List.of("Bearer a", "Bearer b"), server.authorizations);
    assertEquals(5, ((StreamStatusRequest) server.requests.get(1)).getAfterRevision());
  }

  @Test
  void expiredTokenIsOutageOfExecution() throws IOException {
    try (ExecutionServer runs = new ExecutionServer()) {
      Run success = ExecutionServer.run(RunStatus.RUN_STATUS_SUCCESS);
      runs.answers(UpdateProgressRequest.class, EXPIRED);
      runs.answers(
          CompleteRequest.class,
          EXPIRED,
          EXPIRED,
          Answers.sends(CompleteResponse.newBuilder().setRun(success).build()));
      Run done =
          runs.client.execute(
              "r",
              execution -> {
                assertFalse(execution.report(Progress.newBuilder().setTotalTokens(1).build()));
                return null;
              });
      assertEquals(RunStatus.RUN_STATUS_SUCCESS, done.getStatus());
      assertEquals(3, runs.requests(CompleteRequest.class).size());
    }
  }

  @Test
  void variablesThatContradictEachOtherAreRejected() {
    Map<String, String> both = Map.of("RUNSVC_TOKEN", "a", "RUNSVC_TOKEN_FILE", "b");
    assertThrows(IllegalArgumentException.class, () -> new RunClientBuilder(both).build());
    new RunClientBuilder(both).token("c").build().close();
    Map<String, String> half = Map.of("RUNSVC_TLS_CERT", "cert.pem");
    assertThrows(IllegalArgumentException.class, () -> new RunClientBuilder(half).build());
  }
}
