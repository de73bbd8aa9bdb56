package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.runsvc.v1.CompleteRequest;
import io.github.runsvc.v1.SetStatusRequest;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WorkerIdsTest {
  /** The ids that a server accepts. */
  private static final String IDENTIFIER = "[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}";

  @Test
  void differByDefault() throws IOException {
    try (ExecutionServer runs = new ExecutionServer()) {
      runs.client.execute("r", execution -> null);
      String first = runs.last(SetStatusRequest.class).getWorkerId();
      assertTrue(first.matches(IDENTIFIER), first);
      assertEquals(first, runs.last(CompleteRequest.class).getWorkerId());
      runs.client.execute("r", execution -> null);
      assertNotEquals(first, runs.last(SetStatusRequest.class).getWorkerId());
    }
  }

  @ParameterizedTest
  @CsvSource({"a.example,a.example", "'',host", "._ü,host", "_a_b,a-b", "'é x',x"})
  void hostHasCharactersOfIds(String name, String host) {
    assertEquals(host, WorkerIds.host(name));
  }

  @Test
  void longHostIsCut() {
    assertEquals("h".repeat(80), WorkerIds.host("h".repeat(300)));
  }
}
