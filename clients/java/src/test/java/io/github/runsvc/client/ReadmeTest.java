package io.github.runsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Checks the code blocks and the versions of README.md. */
class ReadmeTest {
  private static final Pattern JAVA_BLOCK = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
  private static final Pattern CLASS = Pattern.compile("public final class (\\w+)");
  private static final Pattern VERSION = Pattern.compile("<version>([^<]*)</version>");
  private static final String SNIPPET =
      """
      import io.github.runsvc.client.*;
      import io.github.runsvc.v1.*;
      import io.grpc.Status;
      import java.time.Duration;

      public final class %s {
        void run(RunClient client, String runId, long revision, String storeId) {
          %s
        }
      }
      """;

  @TempDir Path directory;

  @Test
  void codeBlocksCompile() throws IOException {
    List<String> blocks = matches(JAVA_BLOCK, Path.of("README.md"));
    assertFalse(blocks.isEmpty());
    List<Path> files = new ArrayList<>();
    for (String block : blocks) {
      // A block without imports consists of statements.
      boolean isFile = block.startsWith("import ");
      files.add(write(isFile ? block : SNIPPET.formatted("Snippet" + files.size(), block)));
    }
    assertEquals("", compile(files));
  }

  private Path write(String source) throws IOException {
    Matcher name = CLASS.matcher(source);
    assertTrue(name.find());
    return Files.writeString(directory.resolve(name.group(1) + ".java"), source);
  }

  /** Returns the compiler's errors and warnings. */
  private String compile(List<Path> files) throws IOException {
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter output = new StringWriter();
    String classPath = System.getProperty("java.class.path");
    List<String> options = List.of("-proc:none", "-Xlint:all,-path", "-classpath", classPath);
    try (StandardJavaFileManager manager = compiler.getStandardFileManager(null, null, null)) {
      var units = manager.getJavaFileObjectsFromPaths(files);
      compiler.getTask(output, manager, null, options, null, units).call();
    }
    return output.toString();
  }

  @Test
  void readmeAndExampleNameVersionOfProject() throws IOException {
    String version = System.getProperty("runsvc.version");
    assertEquals(List.of(version), matches(VERSION, Path.of("README.md")));
    assertEquals(version, matches(VERSION, Path.of("example/pom.xml")).get(0));
  }

  private static List<String> matches(Pattern pattern, Path file) throws IOException {
    return pattern.matcher(Files.readString(file)).results().map(found -> found.group(1)).toList();
  }
}
