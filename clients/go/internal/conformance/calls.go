package main

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	runsvcv1 "github.com/runsvc/runsvc/clients/go/runsvc/v1"
)

// call makes the unary call that the command names.
func (d *driver) call(ctx context.Context, command object) (object, error) {
	switch command["cmd"] {
	case "create":
		return call(ctx, d.client.Create, &runsvcv1.CreateRequest{}, command)
	case "create_or_reject":
		return call(ctx, d.client.CreateOrReject, &runsvcv1.CreateOrRejectRequest{}, command)
	case "get":
		return call(ctx, d.client.Get, &runsvcv1.GetRequest{}, command)
	case "has_inflight":
		return call(ctx, d.client.HasInflight, &runsvcv1.HasInflightRequest{}, command)
	case "set_status":
		return call(ctx, d.client.SetStatus, &runsvcv1.SetStatusRequest{}, command)
	case "complete":
		return call(ctx, d.client.Complete, &runsvcv1.CompleteRequest{}, command)
	case "update_progress":
		return call(ctx, d.client.UpdateProgress, &runsvcv1.UpdateProgressRequest{}, command)
	case "update_model_name":
		return call(ctx, d.client.UpdateModelName, &runsvcv1.UpdateModelNameRequest{}, command)
	case "update_metadata":
		return call(ctx, d.client.UpdateMetadata, &runsvcv1.UpdateMetadataRequest{}, command)
	case "heartbeat":
		return call(ctx, d.client.Heartbeat, &runsvcv1.HeartbeatRequest{}, command)
	case "cancel":
		return call(ctx, d.client.Cancel, &runsvcv1.CancelRequest{}, command)
	case "acknowledge_cancel":
		return call(ctx, d.client.AcknowledgeCancel, &runsvcv1.AcknowledgeCancelRequest{}, command)
	}
	return nil, fmt.Errorf("unknown command %v", command["cmd"])
}

func call[Q, A proto.Message](
	ctx context.Context, method func(context.Context, Q, ...grpc.CallOption) (A, error), request Q, command object,
) (object, error) {
	answer, err := method(ctx, message(request, command))
	if err != nil {
		return nil, err
	}
	return encodeAnswer(answer.ProtoReflect()), nil
}
