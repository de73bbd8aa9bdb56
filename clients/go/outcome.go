package runsvc

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// outcome is the part of a report of the end that the handler sets.
type outcome struct {
	result     *structpb.Struct
	stopReason *string
}

// SetResult sets what the run produced, at most 1 MiB and 16 levels deep. It is reported if the handler returns no
// error. If the server rejects it, the run ends without it; see Execute.
func (e *Execution) SetResult(result *structpb.Struct) {
	e.reporting.Lock()
	defer e.reporting.Unlock()
	e.outcome.result = result
}

// SetStopReason sets why the run stopped, in a word of the executor's own such as token_capped, of at most 128
// characters. It is reported with any end.
func (e *Execution) SetStopReason(reason string) {
	e.reporting.Lock()
	defer e.reporting.Unlock()
	e.outcome.stopReason = proto.String(strings.ToValidUTF8(reason, "\uFFFD"))
}

// set returns the outcome that the handler has set.
func (e *Execution) set() outcome {
	e.reporting.Lock()
	defer e.reporting.Unlock()
	return e.outcome
}

// unsendable returns the error of a result that no report can carry beside its usage, or nil.
func unsendable(result *structpb.Struct, usage *runsvcv1.Progress) error {
	encoded, err := proto.Marshal(result)
	if size := len(encoded) + proto.Size(usage); err == nil && size > maxUsage {
		err = fmt.Errorf("result and usage have %d bytes, but at most %d can be sent; shorten the result", size, maxUsage)
	}
	if err == nil {
		return nil
	}
	violation := Violation{Field: "result", Description: err.Error()}
	return &Error{
		Code: codes.InvalidArgument, Message: "result: " + violation.Description, Violations: []Violation{violation},
		status: status.New(codes.InvalidArgument, violation.Description),
	}
}

// dropContents clears the fields without which an end can be reported, and reports whether there were any.
func dropContents(report proto.Message) (dropped bool) {
	fields := report.ProtoReflect()
	for _, name := range []protoreflect.Name{"progress", "result", "stop_reason"} {
		if field := fields.Descriptor().Fields().ByName(name); field != nil && fields.Has(field) {
			fields.Clear(field)
			dropped = true
		}
	}
	return dropped
}

// mergeProgress merges usage as the server does: by field, and by model the fields of each.
func mergeProgress(into, from *runsvcv1.Progress) {
	before := into.GetByModel()
	into.ByModel = nil
	proto.Merge(into, from)
	if into.ByModel == nil {
		into.ByModel = before
		return
	}
	for model, usage := range before {
		proto.Merge(usage, into.ByModel[model])
		into.ByModel[model] = usage
	}
}
