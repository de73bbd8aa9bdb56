package io.github.runsvc.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.protobuf.Descriptors.EnumDescriptor;
import com.google.protobuf.Descriptors.EnumValueDescriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Duration;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MapEntry;
import com.google.protobuf.Message;
import com.google.protobuf.Struct;
import com.google.protobuf.Timestamp;
import com.google.protobuf.util.Durations;
import com.google.protobuf.util.JsonFormat;
import io.github.runsvc.v1.Cancellation;
import io.github.runsvc.v1.Lease;
import io.github.runsvc.v1.Run;
import java.math.BigInteger;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * Encodes and decodes messages by their descriptors. clients/conformance/README.md specifies the
 * format.
 */
final class Json {
  private static final BigInteger EXACT = BigInteger.ONE.shiftLeft(53);

  private Json() {}

  /** Writes the fields that are set. */
  static JsonObject of(Message message) {
    JsonObject json = new JsonObject();
    message.getAllFields().forEach((field, value) -> write(json, field, value));
    return json;
  }

  /** Writes a list of messages. */
  static JsonArray of(Iterable<? extends Message> messages) {
    JsonArray json = new JsonArray();
    messages.forEach(message -> json.add(of(message)));
    return json;
  }

  /** The fields of a run that differ from run to run, or that every run has. */
  private static final Set<String> UNWRITTEN =
      Set.of("priority", "attempt", "fencing_token", "retry", "handover");

  private static void write(JsonObject json, FieldDescriptor field, Object value) {
    String name = field.getName();
    if (field.getContainingType() == Run.getDescriptor() && UNWRITTEN.contains(name)) {
      return;
    }
    if (value instanceof Duration duration) {
      json.addProperty(name + "_ms", Durations.toMillis(duration));
    } else if (value instanceof Lease lease) {
      json.addProperty("lease_ttl_ms", Durations.toMillis(lease.getTtl()));
    } else if (value instanceof Timestamp) {
      if (field.getContainingType() == Cancellation.getDescriptor() && name.startsWith("ack")) {
        json.addProperty("acknowledged", true);
      }
    } else if (field.isMapField()) {
      json.add(name, entries((List<?>) value));
    } else if (!isEmpty(value)) {
      json.add(name, value(field, value));
    }
  }

  /** Writes a map of messages by text. */
  private static JsonObject entries(List<?> entries) {
    JsonObject json = new JsonObject();
    for (Object item : entries) {
      MapEntry<?, ?> entry = (MapEntry<?, ?>) item;
      json.add((String) entry.getKey(), of((Message) entry.getValue()));
    }
    return json;
  }

  private static boolean isEmpty(Object value) {
    return value.equals("") || value instanceof Message message && message.getAllFields().isEmpty();
  }

  private static JsonElement value(FieldDescriptor field, Object value) {
    return switch (field.getJavaType()) {
      case ENUM -> name((EnumValueDescriptor) value);
      case INT -> new JsonPrimitive((Integer) value);
      case LONG -> number((Long) value, field.getType() == FieldDescriptor.Type.UINT64);
      case MESSAGE -> value instanceof Struct struct ? plain(struct) : of((Message) value);
      case BOOLEAN -> new JsonPrimitive((Boolean) value);
      case STRING -> new JsonPrimitive((String) value);
      default -> throw new IllegalArgumentException("No rule for " + field);
    };
  }

  private static JsonElement name(EnumValueDescriptor value) {
    if (value.getIndex() < 0) {
      return new JsonPrimitive(value.getNumber());
    }
    String name = value.getName().substring(prefix(value.getType()).length());
    return new JsonPrimitive(name.toLowerCase(Locale.ROOT));
  }

  private static String prefix(EnumDescriptor type) {
    return type.getName().replaceAll("(?<=.)([A-Z])", "_$1").toUpperCase(Locale.ROOT) + "_";
  }

  private static JsonElement number(long value, boolean unsigned) {
    BigInteger number =
        unsigned ? new BigInteger(Long.toUnsignedString(value)) : BigInteger.valueOf(value);
    boolean exact = number.abs().compareTo(EXACT) < 0;
    return exact ? new JsonPrimitive(number) : new JsonPrimitive(number.toString());
  }

  private static JsonElement plain(Struct struct) {
    try {
      return JsonParser.parseString(JsonFormat.printer().print(struct));
    } catch (InvalidProtocolBufferException error) {
      throw new IllegalArgumentException(error);
    }
  }

  /** Sets the message's fields that the JSON has. */
  static <B extends Message.Builder> B read(B builder, JsonObject json) {
    for (FieldDescriptor field : builder.getDescriptorForType().getFields()) {
      boolean isDuration = isOf(field, Duration.getDescriptor().getFullName());
      JsonElement value = json.get(isDuration ? field.getName() + "_ms" : field.getName());
      if (value == null) {
        continue;
      }
      if (field.isMapField()) {
        for (Map.Entry<String, JsonElement> item : value.getAsJsonObject().entrySet()) {
          builder.addRepeatedField(field, entry(builder, field, item));
        }
      } else if (field.isRepeated()) {
        value
            .getAsJsonArray()
            .forEach(item -> builder.addRepeatedField(field, read(builder, field, item)));
      } else {
        builder.setField(field, read(builder, field, value));
      }
    }
    return builder;
  }

  private static Message entry(
      Message.Builder builder, FieldDescriptor field, Map.Entry<String, JsonElement> item) {
    Message.Builder entry = builder.newBuilderForField(field);
    FieldDescriptor content = field.getMessageType().findFieldByName("value");
    return entry
        .setField(field.getMessageType().findFieldByName("key"), item.getKey())
        .setField(content, read(entry, content, item.getValue()))
        .build();
  }

  private static Object read(Message.Builder builder, FieldDescriptor field, JsonElement value) {
    return switch (field.getJavaType()) {
      case ENUM -> enumValue(field.getEnumType(), value.getAsJsonPrimitive());
      case LONG -> value.getAsBigInteger().longValue();
      case INT -> value.getAsInt();
      case BOOLEAN -> value.getAsBoolean();
      case STRING -> value.getAsString();
      case MESSAGE -> {
        if (isOf(field, Duration.getDescriptor().getFullName())) {
          yield Durations.fromMillis(value.getAsLong());
        }
        if (isOf(field, Struct.getDescriptor().getFullName())) {
          yield struct(value.getAsJsonObject());
        }
        yield read(builder.newBuilderForField(field), value.getAsJsonObject()).build();
      }
      default -> throw new IllegalArgumentException("No rule for " + field);
    };
  }

  private static boolean isOf(FieldDescriptor field, String message) {
    return field.getJavaType() == FieldDescriptor.JavaType.MESSAGE
        && field.getMessageType().getFullName().equals(message);
  }

  private static EnumValueDescriptor enumValue(EnumDescriptor type, JsonPrimitive value) {
    return value.isNumber()
        ? type.findValueByNumberCreatingIfUnknown(value.getAsInt())
        : type.findValueByName(prefix(type) + value.getAsString().toUpperCase(Locale.ROOT));
  }

  static Struct struct(JsonObject json) {
    Struct.Builder struct = Struct.newBuilder();
    try {
      JsonFormat.parser().merge(json.toString(), struct);
    } catch (InvalidProtocolBufferException error) {
      throw new IllegalArgumentException(error);
    }
    return struct.build();
  }
}
