package io.github.runsvc.client;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.security.SecureRandom;

/** Worker ids that no other executor has. */
final class WorkerIds {
  /** The length to which the host's name is cut: an id has at most 128 characters. */
  private static final int MAX_HOST = 80;

  private static final SecureRandom RANDOM = new SecureRandom();

  private WorkerIds() {}

  /** Returns a new id of host, process id and a random part. */
  static String next() {
    long random = RANDOM.nextLong() & 0xFF_FFFF_FFFFL;
    return "%s-%d-%010x".formatted(host(hostName()), ProcessHandle.current().pid(), random);
  }

  private static String hostName() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException unnamed) {
      return "";
    }
  }

  /** Returns a host's name in the characters of an id. */
  static String host(String name) {
    String host =
        name.substring(0, Math.min(name.length(), MAX_HOST))
            .replaceAll("[^A-Za-z0-9.-]", "-")
            .replaceAll("^[.-]+", "");
    return host.isEmpty() ? "host" : host;
  }
}
