package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.runsvc.v1.Run;
import io.github.runsvc.v1.RunStatus;
import io.github.runsvc.v1.StatusEvent;
import io.github.runsvc.v1.StreamStatusRequest;
import io.github.runsvc.v1.StreamStatusResponse;
import io.grpc.Status.Code;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class WatchTest {
  private static final StreamStatusResponse SNAPSHOT =
      event(StatusEvent.STATUS_EVENT_SNAPSHOT, 0, "");
  private static final StreamStatusResponse SNAPSHOT_END =
      event(StatusEvent.STATUS_EVENT_SNAPSHOT_END, 7, "store");

  private ScriptedServer server;
  private RunClient client;

  @BeforeEach
  void start() throws IOException {
    server = new ScriptedServer();
    client = server.client().build();
  }

  @AfterEach
  void stop() {
    client.close();
    server.close();
  }

  private static StreamStatusResponse event(StatusEvent event, long revision, String store) {
    return StreamStatusResponse.newBuilder()
        .setEvent(event)
        .setRevision(revision)
        .setStoreId(store)
        .build();
  }

  private static StreamStatusResponse changed(long revision) {
    return event(StatusEvent.STATUS_EVENT_CHANGED, revision, "");
  }

  private static List<StreamStatusResponse> all(Watch watch) {
    List<StreamStatusResponse> events = new ArrayList<>();
    watch.forEach(events::add);
    return events;
  }

  private StreamStatusRequest request(int call) {
    return (StreamStatusRequest) server.requests.get(call);
  }

  @Test
  void resumesFromPositionAfterLostConnection() {
    server.answers.add(Answers.breaks(Code.UNAVAILABLE));
    server.answers.add(Answers.breaks(Code.UNAVAILABLE, SNAPSHOT, SNAPSHOT_END));
    server.answers.add(Answers.breaks(Code.INTERNAL, changed(8)));
    server.answers.add(
        Answers.breaks(Code.CANCELLED, event(StatusEvent.STATUS_EVENT_HEARTBEAT, 9, "store")));
    server.answers.add(Answers.sends(changed(10)));

    Watch watch = client.watch("r");
    assertEquals(List.of(SNAPSHOT, SNAPSHOT_END, changed(8), changed(10)), all(watch));
    assertFalse(request(1).hasAfterRevision());
    StreamStatusRequest expected =
        StreamStatusRequest.newBuilder()
            .setRunId("r")
            .setAfterRevision(7)
            .setStoreId("store")
            .build();
    assertEquals(expected, request(2));
    assertEquals(8, request(3).getAfterRevision());
    assertEquals(9, request(4).getAfterRevision());
    assertEquals(10, watch.revision().orElseThrow());
    assertEquals("store", watch.storeId());
  }

  @Test
  void startsAgainAfterCutWithinSnapshot() {
    server.answers.add(Answers.breaks(Code.UNAVAILABLE, SNAPSHOT));
    server.answers.add(Answers.sends(SNAPSHOT, SNAPSHOT_END));
    assertEquals(List.of(SNAPSHOT, SNAPSHOT, SNAPSHOT_END), all(client.watch("r")));
    assertFalse(request(1).hasAfterRevision());
  }

  @Test
  void snapshotOfEmptyStoreIsPosition() {
    server.answers.add(
        Answers.breaks(Code.UNAVAILABLE, event(StatusEvent.STATUS_EVENT_SNAPSHOT_END, 0, "store")));
    server.answers.add(Answers.sends());
    all(client.watch("r"));
    assertTrue(request(1).hasAfterRevision());
  }

  @Test
  void throwsErrorOfServer() {
    server.answers.add(Answers.refuses(Code.INTERNAL, ""));
    Watch watch = client.watch("r");
    assertEquals(Code.INTERNAL, assertThrows(RunException.class, watch::hasNext).code());
    assertFalse(watch.hasNext());
    assertEquals(1, server.requests.size());
  }

  @Test
  void failsAfterOutage() {
    server.answers.add(Answers.breaks(Code.UNAVAILABLE));
    Watch watch = client.watch(StreamStatusRequest.getDefaultInstance(), Duration.ofMillis(200));
    assertThrows(RunException.Unavailable.class, watch::next);
    assertTrue(server.requests.size() > 1);
  }

  @Test
  void longStreamEndsOutage() {
    AtomicLong clock = new AtomicLong();
    for (int cut = 0; cut < 3; cut++) {
      server.answers.add(
          observer -> {
            clock.addAndGet(Duration.ofSeconds(11).toNanos());
            Answers.breaks(Code.UNAVAILABLE).accept(observer);
          });
    }
    server.answers.add(Answers.sends(changed(10)));
    StreamStatusRequest request = StreamStatusRequest.newBuilder().setRunId("r").build();
    assertEquals(
        List.of(changed(10)), all(client.watch(request, Duration.ofSeconds(10), clock::get)));
  }

  @Test
  void endsAfterLastChangeWithoutServer() {
    StreamStatusResponse last =
        changed(8).toBuilder()
            .setRun(Run.newBuilder().setStatus(RunStatus.RUN_STATUS_SUCCESS))
            .build();
    server.answers.add(Answers.breaks(Code.UNAVAILABLE, last));
    server.answers.add(Answers.breaks(Code.UNAVAILABLE));
    assertEquals(List.of(last), all(client.watch("r")));
    assertEquals(2, server.requests.size());
  }

  @Test
  void waitsForAcknowledgement() {
    Run cancelled = Run.newBuilder().setStatus(RunStatus.RUN_STATUS_INTERRUPTED).build();
    StreamStatusResponse cancel = changed(8).toBuilder().setRun(cancelled).build();
    server.answers.add(Answers.breaks(Code.UNAVAILABLE, cancel));
    server.answers.add(Answers.breaks(Code.UNAVAILABLE));
    server.answers.add(Answers.sends(changed(9)));
    StreamStatusRequest request =
        StreamStatusRequest.newBuilder().setRunId("r").setUntilAcknowledged(true).build();
    assertEquals(List.of(cancel, changed(9)), all(client.watch(request)));
  }

  @Test
  void closeEndsServersStream() throws InterruptedException {
    server.answers.add(Answers.begins(SNAPSHOT, SNAPSHOT_END));
    try (Watch watch = client.watch("r")) {
      assertEquals(SNAPSHOT, watch.next());
    }
    assertTrue(server.streamCancelled.await(20, TimeUnit.SECONDS));
  }

  @Test
  void closeFromAnotherThreadEndsRead() throws InterruptedException {
    server.answers.add(Answers.begins(SNAPSHOT));
    Watch watch = client.watch("r");
    watch.next();
    new Thread(watch::close).start();
    assertFalse(watch.hasNext());
    assertTrue(server.streamCancelled.await(20, TimeUnit.SECONDS));
  }

  @Test
  void closeEndsReconnecting() {
    server.answers.add(Answers.breaks(Code.UNAVAILABLE));
    Watch watch = client.watch("r");
    new Thread(watch::close).start();
    assertFalse(watch.hasNext());
  }

  @Test
  void interruptClosesWatch() throws InterruptedException {
    server.answers.add(Answers.begins(SNAPSHOT));
    Watch watch = client.watch("r");
    watch.next();
    Thread.currentThread().interrupt();
    assertEquals(Code.CANCELLED, assertThrows(RunException.class, watch::hasNext).code());
    assertTrue(Thread.interrupted());
    assertTrue(server.streamCancelled.await(20, TimeUnit.SECONDS));
  }

  @Test
  void closedClientEndsWatch() {
    server.answers.add(Answers.begins(SNAPSHOT));
    Watch watch = client.watch("r");
    watch.next();
    new Thread(client::close).start();
    assertThrows(RunException.Unavailable.class, watch::hasNext);
  }
}
