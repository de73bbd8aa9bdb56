package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RunClientBuilderTest {
  private static String target(RunClientBuilder settings) {
    try (RunClient client = settings.build()) {
      return client.stub().getChannel().authority();
    }
  }

  @Test
  void targetComesFromBuilderOrEnvironmentOrDefault() {
    Map<String, String> environment = Map.of("RUNSVC_TARGET", "runs.internal:1");
    assertEquals("runs.internal:1", target(new RunClientBuilder(environment)));
    assertEquals("127.0.0.1:2", target(new RunClientBuilder(environment).target("127.0.0.1:2")));
    assertEquals("127.0.0.1:50051", target(new RunClientBuilder(environment).target(null)));
    assertEquals("127.0.0.1:50051", target(new RunClientBuilder(Map.of("RUNSVC_TARGET", ""))));
  }

  @Test
  void nullIgnoresCertificatesOfEnvironment() {
    RunClientBuilder settings = new RunClientBuilder(Map.of("RUNSVC_TLS_CA", "/nowhere/ca.pem"));
    assertThrows(UncheckedIOException.class, settings::build);
    settings.tlsCa(null).build().close();
    settings.tlsCa(Path.of("/nowhere/else.pem"));
    assertThrows(UncheckedIOException.class, settings::build);
  }

  @ParameterizedTest
  @ValueSource(strings = {"soon", "0", "-1", "NaN"})
  void rejectsTimeoutThatIsNotPositive(String seconds) {
    Map<String, String> environment = Map.of("RUNSVC_TIMEOUT", seconds);
    assertThrows(IllegalArgumentException.class, () -> new RunClientBuilder(environment).build());
  }

  @ParameterizedTest
  @ValueSource(strings = {"0.5", "1e300", ""})
  void acceptsTimeoutInSeconds(String seconds) {
    new RunClientBuilder(Map.of("RUNSVC_TIMEOUT", seconds)).build().close();
  }
}
