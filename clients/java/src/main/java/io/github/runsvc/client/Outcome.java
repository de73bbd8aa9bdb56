package io.github.runsvc.client;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import com.google.protobuf.Struct;
import io.github.runsvc.v1.ModelUsage;
import io.github.runsvc.v1.Progress;
import java.util.List;
import java.util.Map;

/**
 * The parts of a report of the end that are not required.
 *
 * @param usage null if none is known
 * @param result null if there is none
 * @param stopReason null if there is none
 */
record Outcome(Progress usage, Struct result, String stopReason) {
  /** The largest usage that fits into a report, in bytes: the server accepts messages of 4 MiB. */
  static final int MAX_SIZE = (4 << 20) - (32 << 10);

  /** The fields without which an end can be reported. */
  private static final List<String> CONTENTS = List.of("progress", "result", "stop_reason");

  /** Returns the rejection of a result that no report can carry beside the usage, or null. */
  RunException.InvalidArgument unsendable() {
    int size =
        result == null
            ? 0
            : result.getSerializedSize() + (usage == null ? 0 : usage.getSerializedSize());
    return size <= MAX_SIZE
        ? null
        : RunException.invalid(
            "result",
            "result and usage have %d bytes, but at most %d can be sent; shorten the result"
                .formatted(size, MAX_SIZE));
  }

  /**
   * Clears the fields without which an end can be reported.
   *
   * @return false if the report has none of them
   */
  static boolean drop(Message.Builder report) {
    boolean dropped = false;
    for (String name : CONTENTS) {
      FieldDescriptor field = report.getDescriptorForType().findFieldByName(name);
      if (field != null && report.hasField(field)) {
        report.clearField(field);
        dropped = true;
      }
    }
    return dropped;
  }

  /** Merges usage as the server does: by field, and by model the fields of each. */
  static Progress merge(Progress before, Progress after) {
    Progress.Builder merged = before.toBuilder().mergeFrom(after);
    for (Map.Entry<String, ModelUsage> entry : after.getByModelMap().entrySet()) {
      ModelUsage earlier =
          before.getByModelOrDefault(entry.getKey(), ModelUsage.getDefaultInstance());
      merged.putByModel(entry.getKey(), earlier.toBuilder().mergeFrom(entry.getValue()).build());
    }
    return merged.build();
  }
}
