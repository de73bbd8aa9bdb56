package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	runsvc "github.com/runsvc/runsvc/clients/go"
)

// parse decodes a line. Numbers keep all their digits.
func parse(line []byte) object {
	command := object{}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	if err := decoder.Decode(&command); err != nil {
		fatal(fmt.Errorf("%s: %w", line, err))
	}
	return command
}

// integer decodes a number, which is a text if it is beyond 2^53.
func integer(value any) int64 {
	number, err := strconv.ParseInt(fmt.Sprint(value), 10, 64)
	if err != nil {
		fatal(err)
	}
	return number
}

// message fills a message with the command's values of the same names, and returns it.
func message[M proto.Message](m M, command object) M {
	fill(m.ProtoReflect(), command)
	return m
}

func fill(m protoreflect.Message, values object) {
	for name, value := range values {
		field := m.Descriptor().Fields().ByName(protoreflect.Name(strings.TrimSuffix(name, "_ms")))
		switch {
		case field == nil:
		case field.IsMap():
			entries := m.Mutable(field).Map()
			for key, entry := range value.(map[string]any) {
				key := protoreflect.ValueOfString(key).MapKey()
				fill(entries.Mutable(key).Message(), entry.(map[string]any))
			}
		case field.IsList():
			list := m.Mutable(field).List()
			for _, item := range value.([]any) {
				list.Append(scalar(field, item))
			}
		case field.Message() == nil:
			m.Set(field, scalar(field, value))
		default:
			fillMessage(m.Mutable(field).Message(), value)
		}
	}
}

func fillMessage(m protoreflect.Message, value any) {
	switch into := m.Interface().(type) {
	case *durationpb.Duration:
		proto.Merge(into, durationpb.New(milliseconds(value)))
	case *structpb.Struct:
		text, _ := json.Marshal(value)
		if err := into.UnmarshalJSON(text); err != nil {
			fatal(err)
		}
	default:
		fill(m, value.(map[string]any))
	}
}

func scalar(field protoreflect.FieldDescriptor, value any) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(enumNumber(field.Enum(), value))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(integer(value)))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(integer(value))
	case protoreflect.Uint64Kind:
		number, err := strconv.ParseUint(fmt.Sprint(value), 10, 64)
		if err != nil {
			fatal(err)
		}
		return protoreflect.ValueOfUint64(number)
	}
	return protoreflect.ValueOf(value)
}

func enumNumber(enum protoreflect.EnumDescriptor, value any) protoreflect.EnumNumber {
	if text, ok := value.(string); ok {
		return enum.Values().ByName(protoreflect.Name(prefix(enum) + strings.ToUpper(text))).Number()
	}
	return protoreflect.EnumNumber(integer(value))
}

func encodeEnum(enum protoreflect.EnumDescriptor, number protoreflect.EnumNumber) any {
	if known := enum.Values().ByNumber(number); known != nil {
		return strings.ToLower(strings.TrimPrefix(string(known.Name()), prefix(enum)))
	}
	return int32(number)
}

// prefix returns the common prefix of an enum's value names, taken from its UNSPECIFIED value.
func prefix(enum protoreflect.EnumDescriptor) string {
	return strings.TrimSuffix(string(enum.Values().Get(0).Name()), "UNSPECIFIED")
}

// encodeAnswer encodes a response. Empty lists and false values are included, except for queued_run_ids, which servers
// of an earlier release lack.
func encodeAnswer(m protoreflect.Message) object {
	written := encode(m)
	for i := range m.Descriptor().Fields().Len() {
		field := m.Descriptor().Fields().Get(i)
		if _, exists := written[string(field.Name())]; exists || field.Name() == "queued_run_ids" {
			continue
		}
		if field.IsList() {
			written[string(field.Name())] = []any{}
		} else if field.Kind() == protoreflect.BoolKind {
			written[string(field.Name())] = false
		}
	}
	return written
}

// unwritten are the fields of a run that differ from run to run, or that every run has.
var unwritten = map[protoreflect.FullName]bool{
	"runsvc.v1.Run.priority": true, "runsvc.v1.Run.attempt": true, "runsvc.v1.Run.fencing_token": true,
	"runsvc.v1.Run.retry": true, "runsvc.v1.Run.handover": true,
}

// encode encodes a message by the suite's rules.
func encode(m protoreflect.Message) object {
	written := object{}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		name := string(field.Name())
		switch {
		case unwritten[field.FullName()]:
		case field.IsMap():
			entries := object{}
			value.Map().Range(func(key protoreflect.MapKey, entry protoreflect.Value) bool {
				entries[key.String()] = encode(entry.Message())
				return true
			})
			written[name] = entries
		case field.IsList():
			items := []any{}
			for i := range value.List().Len() {
				items = append(items, encodeScalar(field, value.List().Get(i)))
			}
			written[name] = items
		case field.Message() == nil:
			if text, ok := value.Interface().(string); !ok || text != "" || m.Descriptor().Name() == "Progress" {
				written[name] = encodeScalar(field, value)
			}
		default:
			name, value := encodeMessage(name, value.Message())
			if value != nil {
				written[name] = value
			}
		}
		return true
	})
	return written
}

func encodeMessage(name string, m protoreflect.Message) (string, any) {
	switch inner := m.Interface().(type) {
	case *timestamppb.Timestamp:
		if name == "acknowledged_at" {
			return "acknowledged", true
		}
		return name, nil
	case *durationpb.Duration:
		return name + "_ms", inner.AsDuration() / time.Millisecond
	case *structpb.Struct:
		if len(inner.GetFields()) == 0 {
			return name, nil
		}
		return name, inner.AsMap()
	}
	written := encode(m)
	if ttl, exists := written["ttl_ms"]; name == "lease" && exists {
		return "lease_ttl_ms", ttl
	}
	if len(written) == 0 {
		return name, nil
	}
	return name, written
}

func encodeScalar(field protoreflect.FieldDescriptor, value protoreflect.Value) any {
	switch field.Kind() {
	case protoreflect.EnumKind:
		return encodeEnum(field.Enum(), value.Enum())
	case protoreflect.MessageKind:
		return encode(value.Message())
	case protoreflect.Int64Kind:
		if n := value.Int(); n > 1<<53-1 || n < -(1<<53-1) {
			return strconv.FormatInt(n, 10)
		}
	case protoreflect.Uint64Kind:
		if n := value.Uint(); n > 1<<53-1 {
			return strconv.FormatUint(n, 10)
		}
	}
	return value.Interface()
}

func encodeError(err error, failure *runsvc.Error) object {
	written := object{"code": codeNames[failure.Code]}
	if failure.Reason != "" {
		written["reason"] = failure.Reason
	}
	if len(failure.Metadata) > 0 {
		written["metadata"] = failure.Metadata
	}
	if len(failure.Violations) > 0 {
		fields := []string{}
		for _, violation := range failure.Violations {
			fields = append(fields, violation.Field)
		}
		written["violations"] = fields
	}
	if failure.RetryAfter > 0 {
		written["retry_after_ms"] = failure.RetryAfter.Milliseconds()
	}
	for kind, sentinel := range kinds {
		if errors.Is(err, sentinel) {
			written["kind"] = kind
		}
	}
	return written
}

var kinds = map[string]error{
	"not_found":           runsvc.ErrNotFound,
	"thread_busy":         runsvc.ErrThreadBusy,
	"failed_precondition": runsvc.ErrFailedPrecondition,
	"invalid_argument":    runsvc.ErrInvalidArgument,
	"unavailable":         runsvc.ErrUnavailable,
}

var codeNames = map[codes.Code]string{
	codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN", codes.InvalidArgument: "INVALID_ARGUMENT",
	codes.DeadlineExceeded: "DEADLINE_EXCEEDED", codes.NotFound: "NOT_FOUND", codes.AlreadyExists: "ALREADY_EXISTS",
	codes.PermissionDenied: "PERMISSION_DENIED", codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
	codes.FailedPrecondition: "FAILED_PRECONDITION", codes.Aborted: "ABORTED", codes.OutOfRange: "OUT_OF_RANGE",
	codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL", codes.Unavailable: "UNAVAILABLE",
	codes.DataLoss: "DATA_LOSS", codes.Unauthenticated: "UNAUTHENTICATED",
}
