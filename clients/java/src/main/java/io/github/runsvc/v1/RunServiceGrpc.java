package io.github.runsvc.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Creates, executes, cancels and watches runs.
 * Every error carries a google.rpc.ErrorInfo with domain `runsvc` and a reason of ErrorReason. Any call may also fail
 * with INVALID_REQUEST, STORE_UNAVAILABLE, OUTCOME_UNKNOWN (calls that write), OVERLOADED, SERVER_DRAINING or
 * CORRUPT_ROW, and with RUN_NOT_FOUND for a run_id that the caller cannot see. With authentication, any call may fail
 * with UNAUTHENTICATED, and with PERMISSION_DENIED when the caller lacks the role for it.
 * Each call has a scope: one owner, or every owner. A run outside the scope does not exist for the call. A caller whose
 * scope is every owner narrows a call to one owner with the metadata entry `runsvc-owner`: at most 128 printable ASCII
 * characters without spaces; the empty value is the platform's own runs. Another owner than that of the credential is
 * PERMISSION_DENIED. A thread belongs to one owner, so calls that name a thread_id, and creations, take one owner:
 * that of `runsvc-owner`, else of the credential, else the empty one. All other calls act on the whole scope. Without
 * authentication every caller has every owner as its scope, and every role.
 * The server answers a change only after it is durable. A call that its client abandoned takes effect completely or not
 * at all.
 * </pre>
 */
@io.grpc.stub.annotations.GrpcGenerated
public final class RunServiceGrpc {

  private RunServiceGrpc() {}

  public static final java.lang.String SERVICE_NAME = "runsvc.v1.RunService";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.CreateRequest,
      io.github.runsvc.v1.CreateResponse> getCreateMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Create",
      requestType = io.github.runsvc.v1.CreateRequest.class,
      responseType = io.github.runsvc.v1.CreateResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.CreateRequest,
      io.github.runsvc.v1.CreateResponse> getCreateMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.CreateRequest, io.github.runsvc.v1.CreateResponse> getCreateMethod;
    if ((getCreateMethod = RunServiceGrpc.getCreateMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getCreateMethod = RunServiceGrpc.getCreateMethod) == null) {
          RunServiceGrpc.getCreateMethod = getCreateMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.CreateRequest, io.github.runsvc.v1.CreateResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Create"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.CreateRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.CreateResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("Create"))
              .build();
        }
      }
    }
    return getCreateMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.CreateOrRejectRequest,
      io.github.runsvc.v1.CreateOrRejectResponse> getCreateOrRejectMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "CreateOrReject",
      requestType = io.github.runsvc.v1.CreateOrRejectRequest.class,
      responseType = io.github.runsvc.v1.CreateOrRejectResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.CreateOrRejectRequest,
      io.github.runsvc.v1.CreateOrRejectResponse> getCreateOrRejectMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.CreateOrRejectRequest, io.github.runsvc.v1.CreateOrRejectResponse> getCreateOrRejectMethod;
    if ((getCreateOrRejectMethod = RunServiceGrpc.getCreateOrRejectMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getCreateOrRejectMethod = RunServiceGrpc.getCreateOrRejectMethod) == null) {
          RunServiceGrpc.getCreateOrRejectMethod = getCreateOrRejectMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.CreateOrRejectRequest, io.github.runsvc.v1.CreateOrRejectResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "CreateOrReject"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.CreateOrRejectRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.CreateOrRejectResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("CreateOrReject"))
              .build();
        }
      }
    }
    return getCreateOrRejectMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.GetRequest,
      io.github.runsvc.v1.GetResponse> getGetMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Get",
      requestType = io.github.runsvc.v1.GetRequest.class,
      responseType = io.github.runsvc.v1.GetResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.GetRequest,
      io.github.runsvc.v1.GetResponse> getGetMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.GetRequest, io.github.runsvc.v1.GetResponse> getGetMethod;
    if ((getGetMethod = RunServiceGrpc.getGetMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getGetMethod = RunServiceGrpc.getGetMethod) == null) {
          RunServiceGrpc.getGetMethod = getGetMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.GetRequest, io.github.runsvc.v1.GetResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Get"))
              .setSafe(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.GetRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.GetResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("Get"))
              .build();
        }
      }
    }
    return getGetMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.ListByThreadRequest,
      io.github.runsvc.v1.ListByThreadResponse> getListByThreadMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ListByThread",
      requestType = io.github.runsvc.v1.ListByThreadRequest.class,
      responseType = io.github.runsvc.v1.ListByThreadResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.ListByThreadRequest,
      io.github.runsvc.v1.ListByThreadResponse> getListByThreadMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.ListByThreadRequest, io.github.runsvc.v1.ListByThreadResponse> getListByThreadMethod;
    if ((getListByThreadMethod = RunServiceGrpc.getListByThreadMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getListByThreadMethod = RunServiceGrpc.getListByThreadMethod) == null) {
          RunServiceGrpc.getListByThreadMethod = getListByThreadMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.ListByThreadRequest, io.github.runsvc.v1.ListByThreadResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ListByThread"))
              .setSafe(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.ListByThreadRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.ListByThreadResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("ListByThread"))
              .build();
        }
      }
    }
    return getListByThreadMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.HasInflightRequest,
      io.github.runsvc.v1.HasInflightResponse> getHasInflightMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "HasInflight",
      requestType = io.github.runsvc.v1.HasInflightRequest.class,
      responseType = io.github.runsvc.v1.HasInflightResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.HasInflightRequest,
      io.github.runsvc.v1.HasInflightResponse> getHasInflightMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.HasInflightRequest, io.github.runsvc.v1.HasInflightResponse> getHasInflightMethod;
    if ((getHasInflightMethod = RunServiceGrpc.getHasInflightMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getHasInflightMethod = RunServiceGrpc.getHasInflightMethod) == null) {
          RunServiceGrpc.getHasInflightMethod = getHasInflightMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.HasInflightRequest, io.github.runsvc.v1.HasInflightResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "HasInflight"))
              .setSafe(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.HasInflightRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.HasInflightResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("HasInflight"))
              .build();
        }
      }
    }
    return getHasInflightMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.SetStatusRequest,
      io.github.runsvc.v1.SetStatusResponse> getSetStatusMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "SetStatus",
      requestType = io.github.runsvc.v1.SetStatusRequest.class,
      responseType = io.github.runsvc.v1.SetStatusResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.SetStatusRequest,
      io.github.runsvc.v1.SetStatusResponse> getSetStatusMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.SetStatusRequest, io.github.runsvc.v1.SetStatusResponse> getSetStatusMethod;
    if ((getSetStatusMethod = RunServiceGrpc.getSetStatusMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getSetStatusMethod = RunServiceGrpc.getSetStatusMethod) == null) {
          RunServiceGrpc.getSetStatusMethod = getSetStatusMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.SetStatusRequest, io.github.runsvc.v1.SetStatusResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "SetStatus"))
              .setIdempotent(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.SetStatusRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.SetStatusResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("SetStatus"))
              .build();
        }
      }
    }
    return getSetStatusMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.CompleteRequest,
      io.github.runsvc.v1.CompleteResponse> getCompleteMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Complete",
      requestType = io.github.runsvc.v1.CompleteRequest.class,
      responseType = io.github.runsvc.v1.CompleteResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.CompleteRequest,
      io.github.runsvc.v1.CompleteResponse> getCompleteMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.CompleteRequest, io.github.runsvc.v1.CompleteResponse> getCompleteMethod;
    if ((getCompleteMethod = RunServiceGrpc.getCompleteMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getCompleteMethod = RunServiceGrpc.getCompleteMethod) == null) {
          RunServiceGrpc.getCompleteMethod = getCompleteMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.CompleteRequest, io.github.runsvc.v1.CompleteResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Complete"))
              .setIdempotent(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.CompleteRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.CompleteResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("Complete"))
              .build();
        }
      }
    }
    return getCompleteMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.UpdateProgressRequest,
      io.github.runsvc.v1.UpdateProgressResponse> getUpdateProgressMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "UpdateProgress",
      requestType = io.github.runsvc.v1.UpdateProgressRequest.class,
      responseType = io.github.runsvc.v1.UpdateProgressResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.UpdateProgressRequest,
      io.github.runsvc.v1.UpdateProgressResponse> getUpdateProgressMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.UpdateProgressRequest, io.github.runsvc.v1.UpdateProgressResponse> getUpdateProgressMethod;
    if ((getUpdateProgressMethod = RunServiceGrpc.getUpdateProgressMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getUpdateProgressMethod = RunServiceGrpc.getUpdateProgressMethod) == null) {
          RunServiceGrpc.getUpdateProgressMethod = getUpdateProgressMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.UpdateProgressRequest, io.github.runsvc.v1.UpdateProgressResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "UpdateProgress"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.UpdateProgressRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.UpdateProgressResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("UpdateProgress"))
              .build();
        }
      }
    }
    return getUpdateProgressMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.UpdateModelNameRequest,
      io.github.runsvc.v1.UpdateModelNameResponse> getUpdateModelNameMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "UpdateModelName",
      requestType = io.github.runsvc.v1.UpdateModelNameRequest.class,
      responseType = io.github.runsvc.v1.UpdateModelNameResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.UpdateModelNameRequest,
      io.github.runsvc.v1.UpdateModelNameResponse> getUpdateModelNameMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.UpdateModelNameRequest, io.github.runsvc.v1.UpdateModelNameResponse> getUpdateModelNameMethod;
    if ((getUpdateModelNameMethod = RunServiceGrpc.getUpdateModelNameMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getUpdateModelNameMethod = RunServiceGrpc.getUpdateModelNameMethod) == null) {
          RunServiceGrpc.getUpdateModelNameMethod = getUpdateModelNameMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.UpdateModelNameRequest, io.github.runsvc.v1.UpdateModelNameResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "UpdateModelName"))
              .setIdempotent(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.UpdateModelNameRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.UpdateModelNameResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("UpdateModelName"))
              .build();
        }
      }
    }
    return getUpdateModelNameMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.UpdateMetadataRequest,
      io.github.runsvc.v1.UpdateMetadataResponse> getUpdateMetadataMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "UpdateMetadata",
      requestType = io.github.runsvc.v1.UpdateMetadataRequest.class,
      responseType = io.github.runsvc.v1.UpdateMetadataResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.UpdateMetadataRequest,
      io.github.runsvc.v1.UpdateMetadataResponse> getUpdateMetadataMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.UpdateMetadataRequest, io.github.runsvc.v1.UpdateMetadataResponse> getUpdateMetadataMethod;
    if ((getUpdateMetadataMethod = RunServiceGrpc.getUpdateMetadataMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getUpdateMetadataMethod = RunServiceGrpc.getUpdateMetadataMethod) == null) {
          RunServiceGrpc.getUpdateMetadataMethod = getUpdateMetadataMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.UpdateMetadataRequest, io.github.runsvc.v1.UpdateMetadataResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "UpdateMetadata"))
              .setIdempotent(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.UpdateMetadataRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.UpdateMetadataResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("UpdateMetadata"))
              .build();
        }
      }
    }
    return getUpdateMetadataMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.HeartbeatRequest,
      io.github.runsvc.v1.HeartbeatResponse> getHeartbeatMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Heartbeat",
      requestType = io.github.runsvc.v1.HeartbeatRequest.class,
      responseType = io.github.runsvc.v1.HeartbeatResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.HeartbeatRequest,
      io.github.runsvc.v1.HeartbeatResponse> getHeartbeatMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.HeartbeatRequest, io.github.runsvc.v1.HeartbeatResponse> getHeartbeatMethod;
    if ((getHeartbeatMethod = RunServiceGrpc.getHeartbeatMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getHeartbeatMethod = RunServiceGrpc.getHeartbeatMethod) == null) {
          RunServiceGrpc.getHeartbeatMethod = getHeartbeatMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.HeartbeatRequest, io.github.runsvc.v1.HeartbeatResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Heartbeat"))
              .setIdempotent(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.HeartbeatRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.HeartbeatResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("Heartbeat"))
              .build();
        }
      }
    }
    return getHeartbeatMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.CancelRequest,
      io.github.runsvc.v1.CancelResponse> getCancelMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Cancel",
      requestType = io.github.runsvc.v1.CancelRequest.class,
      responseType = io.github.runsvc.v1.CancelResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.CancelRequest,
      io.github.runsvc.v1.CancelResponse> getCancelMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.CancelRequest, io.github.runsvc.v1.CancelResponse> getCancelMethod;
    if ((getCancelMethod = RunServiceGrpc.getCancelMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getCancelMethod = RunServiceGrpc.getCancelMethod) == null) {
          RunServiceGrpc.getCancelMethod = getCancelMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.CancelRequest, io.github.runsvc.v1.CancelResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Cancel"))
              .setIdempotent(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.CancelRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.CancelResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("Cancel"))
              .build();
        }
      }
    }
    return getCancelMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.AcknowledgeCancelRequest,
      io.github.runsvc.v1.AcknowledgeCancelResponse> getAcknowledgeCancelMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "AcknowledgeCancel",
      requestType = io.github.runsvc.v1.AcknowledgeCancelRequest.class,
      responseType = io.github.runsvc.v1.AcknowledgeCancelResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.AcknowledgeCancelRequest,
      io.github.runsvc.v1.AcknowledgeCancelResponse> getAcknowledgeCancelMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.AcknowledgeCancelRequest, io.github.runsvc.v1.AcknowledgeCancelResponse> getAcknowledgeCancelMethod;
    if ((getAcknowledgeCancelMethod = RunServiceGrpc.getAcknowledgeCancelMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getAcknowledgeCancelMethod = RunServiceGrpc.getAcknowledgeCancelMethod) == null) {
          RunServiceGrpc.getAcknowledgeCancelMethod = getAcknowledgeCancelMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.AcknowledgeCancelRequest, io.github.runsvc.v1.AcknowledgeCancelResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "AcknowledgeCancel"))
              .setIdempotent(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.AcknowledgeCancelRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.AcknowledgeCancelResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("AcknowledgeCancel"))
              .build();
        }
      }
    }
    return getAcknowledgeCancelMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.StreamStatusRequest,
      io.github.runsvc.v1.StreamStatusResponse> getStreamStatusMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "StreamStatus",
      requestType = io.github.runsvc.v1.StreamStatusRequest.class,
      responseType = io.github.runsvc.v1.StreamStatusResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.StreamStatusRequest,
      io.github.runsvc.v1.StreamStatusResponse> getStreamStatusMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.StreamStatusRequest, io.github.runsvc.v1.StreamStatusResponse> getStreamStatusMethod;
    if ((getStreamStatusMethod = RunServiceGrpc.getStreamStatusMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getStreamStatusMethod = RunServiceGrpc.getStreamStatusMethod) == null) {
          RunServiceGrpc.getStreamStatusMethod = getStreamStatusMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.StreamStatusRequest, io.github.runsvc.v1.StreamStatusResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "StreamStatus"))
              .setSafe(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.StreamStatusRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.StreamStatusResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("StreamStatus"))
              .build();
        }
      }
    }
    return getStreamStatusMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.ClaimRequest,
      io.github.runsvc.v1.ClaimResponse> getClaimMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Claim",
      requestType = io.github.runsvc.v1.ClaimRequest.class,
      responseType = io.github.runsvc.v1.ClaimResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.ClaimRequest,
      io.github.runsvc.v1.ClaimResponse> getClaimMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.ClaimRequest, io.github.runsvc.v1.ClaimResponse> getClaimMethod;
    if ((getClaimMethod = RunServiceGrpc.getClaimMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getClaimMethod = RunServiceGrpc.getClaimMethod) == null) {
          RunServiceGrpc.getClaimMethod = getClaimMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.ClaimRequest, io.github.runsvc.v1.ClaimResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Claim"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.ClaimRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.ClaimResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("Claim"))
              .build();
        }
      }
    }
    return getClaimMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.ReleaseRequest,
      io.github.runsvc.v1.ReleaseResponse> getReleaseMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Release",
      requestType = io.github.runsvc.v1.ReleaseRequest.class,
      responseType = io.github.runsvc.v1.ReleaseResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.ReleaseRequest,
      io.github.runsvc.v1.ReleaseResponse> getReleaseMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.ReleaseRequest, io.github.runsvc.v1.ReleaseResponse> getReleaseMethod;
    if ((getReleaseMethod = RunServiceGrpc.getReleaseMethod) == null) {
      synchronized (RunServiceGrpc.class) {
        if ((getReleaseMethod = RunServiceGrpc.getReleaseMethod) == null) {
          RunServiceGrpc.getReleaseMethod = getReleaseMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.ReleaseRequest, io.github.runsvc.v1.ReleaseResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Release"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.ReleaseRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.ReleaseResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RunServiceMethodDescriptorSupplier("Release"))
              .build();
        }
      }
    }
    return getReleaseMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static RunServiceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<RunServiceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<RunServiceStub>() {
        @java.lang.Override
        public RunServiceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new RunServiceStub(channel, callOptions);
        }
      };
    return RunServiceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports all types of calls on the service
   */
  public static RunServiceBlockingV2Stub newBlockingV2Stub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<RunServiceBlockingV2Stub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<RunServiceBlockingV2Stub>() {
        @java.lang.Override
        public RunServiceBlockingV2Stub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new RunServiceBlockingV2Stub(channel, callOptions);
        }
      };
    return RunServiceBlockingV2Stub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static RunServiceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<RunServiceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<RunServiceBlockingStub>() {
        @java.lang.Override
        public RunServiceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new RunServiceBlockingStub(channel, callOptions);
        }
      };
    return RunServiceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static RunServiceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<RunServiceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<RunServiceFutureStub>() {
        @java.lang.Override
        public RunServiceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new RunServiceFutureStub(channel, callOptions);
        }
      };
    return RunServiceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Creates, executes, cancels and watches runs.
   * Every error carries a google.rpc.ErrorInfo with domain `runsvc` and a reason of ErrorReason. Any call may also fail
   * with INVALID_REQUEST, STORE_UNAVAILABLE, OUTCOME_UNKNOWN (calls that write), OVERLOADED, SERVER_DRAINING or
   * CORRUPT_ROW, and with RUN_NOT_FOUND for a run_id that the caller cannot see. With authentication, any call may fail
   * with UNAUTHENTICATED, and with PERMISSION_DENIED when the caller lacks the role for it.
   * Each call has a scope: one owner, or every owner. A run outside the scope does not exist for the call. A caller whose
   * scope is every owner narrows a call to one owner with the metadata entry `runsvc-owner`: at most 128 printable ASCII
   * characters without spaces; the empty value is the platform's own runs. Another owner than that of the credential is
   * PERMISSION_DENIED. A thread belongs to one owner, so calls that name a thread_id, and creations, take one owner:
   * that of `runsvc-owner`, else of the credential, else the empty one. All other calls act on the whole scope. Without
   * authentication every caller has every owner as its scope, and every role.
   * The server answers a change only after it is durable. A call that its client abandoned takes effect completely or not
   * at all.
   * </pre>
   */
  public interface AsyncService {

    /**
     * <pre>
     * Admits a run regardless of the thread's active and queued runs. It is PENDING, or QUEUED if a gate other than THREAD
     * is closed. THREAD_FULL when the thread has as many active or queued runs as the server allows; UNSUPPORTED_STRATEGY
     * for ENQUEUE, which needs CreateOrReject; REQUEST_ID_REUSED.
     * </pre>
     */
    default void create(io.github.runsvc.v1.CreateRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.CreateResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getCreateMethod(), responseObserver);
    }

    /**
     * <pre>
     * Admits a run by its multitask_strategy, in one atomic decision per thread. REJECT: THREAD_BUSY while the thread has
     * an active or a queued run, or with the handover AFTER_STOP a run whose executor has not stopped. INTERRUPT and
     * ROLLBACK: every active or queued run of the thread becomes INTERRUPTED in the same transaction. ENQUEUE: the run is
     * QUEUED until the runs before it have ended. THREAD_FULL when the thread has as many queued runs as the server allows.
     * On a failure nothing changes. REQUEST_ID_REUSED.
     * </pre>
     */
    default void createOrReject(io.github.runsvc.v1.CreateOrRejectRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.CreateOrRejectResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getCreateOrRejectMethod(), responseObserver);
    }

    /**
     * <pre>
     * Returns a run.
     * </pre>
     */
    default void get(io.github.runsvc.v1.GetRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.GetResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getGetMethod(), responseObserver);
    }

    /**
     * <pre>
     * Returns a thread's runs, newest first, in pages that neither repeat nor skip runs while others are being created. A
     * thread without runs is an empty page, not an error.
     * </pre>
     */
    default void listByThread(io.github.runsvc.v1.ListByThreadRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.ListByThreadResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getListByThreadMethod(), responseObserver);
    }

    /**
     * <pre>
     * Returns whether a thread has active runs, their ids, and those of the queued runs.
     * </pre>
     */
    default void hasInflight(io.github.runsvc.v1.HasInflightRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.HasInflightResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getHasInflightMethod(), responseObserver);
    }

    /**
     * <pre>
     * Reports a status. RUNNING is the start: it makes the executor the holder and may give it a lease. NOT_HOLDER when
     * another executor holds the run; INVALID_TRANSITION when the run's status does not allow the new one. Reporting the
     * current status again only renews the holder's lease, which takes the length lease_ttl if that is set. INTERRUPTED on
     * a run that was cancelled or displaced acknowledges the cancel, as AcknowledgeCancel does.
     * </pre>
     */
    default void setStatus(io.github.runsvc.v1.SetStatusRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.SetStatusResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getSetStatusMethod(), responseObserver);
    }

    /**
     * <pre>
     * Reports the end: status, error, result and usage in one write. On a run that already has that status and no final
     * progress yet, the progress is merged, as a change with a revision of its own. INTERRUPTED acknowledges a cancel, as
     * in SetStatus. NOT_HOLDER, INVALID_TRANSITION as in SetStatus.
     * </pre>
     */
    default void complete(io.github.runsvc.v1.CompleteRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.CompleteResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getCompleteMethod(), responseObserver);
    }

    /**
     * <pre>
     * Merges the progress fields that are set, while the run is RUNNING. On any other run nothing changes and `applied`
     * is false; the response carries the run, so that an executor learns of a cancel here. Renews the lease either way.
     * Never changes the status. Final progress of a run that has ended is a change with a revision of its own; other
     * progress has none. NOT_HOLDER.
     * </pre>
     */
    default void updateProgress(io.github.runsvc.v1.UpdateProgressRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.UpdateProgressResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getUpdateProgressMethod(), responseObserver);
    }

    /**
     * <pre>
     * Sets or clears the model name of an active run. INVALID_TRANSITION after the run has ended.
     * </pre>
     */
    default void updateModelName(io.github.runsvc.v1.UpdateModelNameRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.UpdateModelNameResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getUpdateModelNameMethod(), responseObserver);
    }

    /**
     * <pre>
     * Sets and removes top-level keys of a run's metadata, at any time, also after the end. Needs no holder and renews no
     * lease. Has no revision; watches with include_progress receive it as PROGRESS.
     * </pre>
     */
    default void updateMetadata(io.github.runsvc.v1.UpdateMetadataRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.UpdateMetadataResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getUpdateMetadataMethod(), responseObserver);
    }

    /**
     * <pre>
     * Renews the holder's lease, as every other report does too; changes nothing on a run without a lease. On an
     * INTERRUPTED run it succeeds and returns the run, so that the executor learns of the cancel; on a run that ended
     * otherwise INVALID_TRANSITION. NOT_HOLDER.
     * </pre>
     */
    default void heartbeat(io.github.runsvc.v1.HeartbeatRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.HeartbeatResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getHeartbeatMethod(), responseObserver);
    }

    /**
     * <pre>
     * Cancels an active or queued run, regardless of its creator. A run that has ended stays unchanged; `outcome`
     * distinguishes the cases.
     * </pre>
     */
    default void cancel(io.github.runsvc.v1.CancelRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.CancelResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getCancelMethod(), responseObserver);
    }

    /**
     * <pre>
     * Reports that the executor of a cancelled run has stopped. Sets cancellation.acknowledged_at, once, and merges final
     * progress. INVALID_TRANSITION on a run that was not cancelled. NOT_HOLDER.
     * </pre>
     */
    default void acknowledgeCancel(io.github.runsvc.v1.AcknowledgeCancelRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.AcknowledgeCancelResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getAcknowledgeCancelMethod(), responseObserver);
    }

    /**
     * <pre>
     * Streams changes in revision order, none skipped, none repeated, from a snapshot or from after_revision on.
     * A client that lost its stream resumes with the revision of its last SNAPSHOT_END, CHANGED, DELETED or HEARTBEAT; if
     * it lost the stream during the snapshot, it starts over. A stream of one run ends with OK after its terminal change;
     * final usage that arrives later is sent to a stream that begins after that change, and to streams of more runs.
     * REVISION_COMPACTED when the log no longer reaches back to after_revision; REVISION_UNKNOWN when the store has not
     * reached it. A server that shuts down ends the stream with SERVER_DRAINING, never with OK. Closing a stream does not
     * cancel the run unless it was opened with `attach`.
     * </pre>
     */
    default void streamStatus(io.github.runsvc.v1.StreamStatusRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.StreamStatusResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getStreamStatusMethod(), responseObserver);
    }

    /**
     * <pre>
     * Hands PENDING runs to an executor: those that nobody holds or this worker holds become RUNNING under its worker_id,
     * with a lease. Each run goes to exactly one worker. Runs of a higher priority come first, then owners take turns
     * within an assistant, then older runs come first.
     * Without such a run the call waits for one, and returns OK without runs after `wait`. SERVER_DRAINING when the server
     * shuts down meanwhile. If the client gives up, it gets no run: a run that was already taken for it is released.
     * </pre>
     */
    default void claim(io.github.runsvc.v1.ClaimRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.ClaimResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getClaimMethod(), responseObserver);
    }

    /**
     * <pre>
     * Gives a run back: it becomes PENDING again, without holder and lease, and the attempt does not count. For an
     * executor that shuts down. NOT_HOLDER; INVALID_TRANSITION when the run has ended.
     * </pre>
     */
    default void release(io.github.runsvc.v1.ReleaseRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.ReleaseResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getReleaseMethod(), responseObserver);
    }
  }

  /**
   * Base class for the server implementation of the service RunService.
   * <pre>
   * Creates, executes, cancels and watches runs.
   * Every error carries a google.rpc.ErrorInfo with domain `runsvc` and a reason of ErrorReason. Any call may also fail
   * with INVALID_REQUEST, STORE_UNAVAILABLE, OUTCOME_UNKNOWN (calls that write), OVERLOADED, SERVER_DRAINING or
   * CORRUPT_ROW, and with RUN_NOT_FOUND for a run_id that the caller cannot see. With authentication, any call may fail
   * with UNAUTHENTICATED, and with PERMISSION_DENIED when the caller lacks the role for it.
   * Each call has a scope: one owner, or every owner. A run outside the scope does not exist for the call. A caller whose
   * scope is every owner narrows a call to one owner with the metadata entry `runsvc-owner`: at most 128 printable ASCII
   * characters without spaces; the empty value is the platform's own runs. Another owner than that of the credential is
   * PERMISSION_DENIED. A thread belongs to one owner, so calls that name a thread_id, and creations, take one owner:
   * that of `runsvc-owner`, else of the credential, else the empty one. All other calls act on the whole scope. Without
   * authentication every caller has every owner as its scope, and every role.
   * The server answers a change only after it is durable. A call that its client abandoned takes effect completely or not
   * at all.
   * </pre>
   */
  public static abstract class RunServiceImplBase
      implements io.grpc.BindableService, AsyncService {

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return RunServiceGrpc.bindService(this);
    }
  }

  /**
   * A stub to allow clients to do asynchronous rpc calls to service RunService.
   * <pre>
   * Creates, executes, cancels and watches runs.
   * Every error carries a google.rpc.ErrorInfo with domain `runsvc` and a reason of ErrorReason. Any call may also fail
   * with INVALID_REQUEST, STORE_UNAVAILABLE, OUTCOME_UNKNOWN (calls that write), OVERLOADED, SERVER_DRAINING or
   * CORRUPT_ROW, and with RUN_NOT_FOUND for a run_id that the caller cannot see. With authentication, any call may fail
   * with UNAUTHENTICATED, and with PERMISSION_DENIED when the caller lacks the role for it.
   * Each call has a scope: one owner, or every owner. A run outside the scope does not exist for the call. A caller whose
   * scope is every owner narrows a call to one owner with the metadata entry `runsvc-owner`: at most 128 printable ASCII
   * characters without spaces; the empty value is the platform's own runs. Another owner than that of the credential is
   * PERMISSION_DENIED. A thread belongs to one owner, so calls that name a thread_id, and creations, take one owner:
   * that of `runsvc-owner`, else of the credential, else the empty one. All other calls act on the whole scope. Without
   * authentication every caller has every owner as its scope, and every role.
   * The server answers a change only after it is durable. A call that its client abandoned takes effect completely or not
   * at all.
   * </pre>
   */
  public static final class RunServiceStub
      extends io.grpc.stub.AbstractAsyncStub<RunServiceStub> {
    private RunServiceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected RunServiceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new RunServiceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Admits a run regardless of the thread's active and queued runs. It is PENDING, or QUEUED if a gate other than THREAD
     * is closed. THREAD_FULL when the thread has as many active or queued runs as the server allows; UNSUPPORTED_STRATEGY
     * for ENQUEUE, which needs CreateOrReject; REQUEST_ID_REUSED.
     * </pre>
     */
    public void create(io.github.runsvc.v1.CreateRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.CreateResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getCreateMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Admits a run by its multitask_strategy, in one atomic decision per thread. REJECT: THREAD_BUSY while the thread has
     * an active or a queued run, or with the handover AFTER_STOP a run whose executor has not stopped. INTERRUPT and
     * ROLLBACK: every active or queued run of the thread becomes INTERRUPTED in the same transaction. ENQUEUE: the run is
     * QUEUED until the runs before it have ended. THREAD_FULL when the thread has as many queued runs as the server allows.
     * On a failure nothing changes. REQUEST_ID_REUSED.
     * </pre>
     */
    public void createOrReject(io.github.runsvc.v1.CreateOrRejectRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.CreateOrRejectResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getCreateOrRejectMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Returns a run.
     * </pre>
     */
    public void get(io.github.runsvc.v1.GetRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.GetResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getGetMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Returns a thread's runs, newest first, in pages that neither repeat nor skip runs while others are being created. A
     * thread without runs is an empty page, not an error.
     * </pre>
     */
    public void listByThread(io.github.runsvc.v1.ListByThreadRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.ListByThreadResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getListByThreadMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Returns whether a thread has active runs, their ids, and those of the queued runs.
     * </pre>
     */
    public void hasInflight(io.github.runsvc.v1.HasInflightRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.HasInflightResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getHasInflightMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Reports a status. RUNNING is the start: it makes the executor the holder and may give it a lease. NOT_HOLDER when
     * another executor holds the run; INVALID_TRANSITION when the run's status does not allow the new one. Reporting the
     * current status again only renews the holder's lease, which takes the length lease_ttl if that is set. INTERRUPTED on
     * a run that was cancelled or displaced acknowledges the cancel, as AcknowledgeCancel does.
     * </pre>
     */
    public void setStatus(io.github.runsvc.v1.SetStatusRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.SetStatusResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getSetStatusMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Reports the end: status, error, result and usage in one write. On a run that already has that status and no final
     * progress yet, the progress is merged, as a change with a revision of its own. INTERRUPTED acknowledges a cancel, as
     * in SetStatus. NOT_HOLDER, INVALID_TRANSITION as in SetStatus.
     * </pre>
     */
    public void complete(io.github.runsvc.v1.CompleteRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.CompleteResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getCompleteMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Merges the progress fields that are set, while the run is RUNNING. On any other run nothing changes and `applied`
     * is false; the response carries the run, so that an executor learns of a cancel here. Renews the lease either way.
     * Never changes the status. Final progress of a run that has ended is a change with a revision of its own; other
     * progress has none. NOT_HOLDER.
     * </pre>
     */
    public void updateProgress(io.github.runsvc.v1.UpdateProgressRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.UpdateProgressResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getUpdateProgressMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Sets or clears the model name of an active run. INVALID_TRANSITION after the run has ended.
     * </pre>
     */
    public void updateModelName(io.github.runsvc.v1.UpdateModelNameRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.UpdateModelNameResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getUpdateModelNameMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Sets and removes top-level keys of a run's metadata, at any time, also after the end. Needs no holder and renews no
     * lease. Has no revision; watches with include_progress receive it as PROGRESS.
     * </pre>
     */
    public void updateMetadata(io.github.runsvc.v1.UpdateMetadataRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.UpdateMetadataResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getUpdateMetadataMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Renews the holder's lease, as every other report does too; changes nothing on a run without a lease. On an
     * INTERRUPTED run it succeeds and returns the run, so that the executor learns of the cancel; on a run that ended
     * otherwise INVALID_TRANSITION. NOT_HOLDER.
     * </pre>
     */
    public void heartbeat(io.github.runsvc.v1.HeartbeatRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.HeartbeatResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getHeartbeatMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Cancels an active or queued run, regardless of its creator. A run that has ended stays unchanged; `outcome`
     * distinguishes the cases.
     * </pre>
     */
    public void cancel(io.github.runsvc.v1.CancelRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.CancelResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getCancelMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Reports that the executor of a cancelled run has stopped. Sets cancellation.acknowledged_at, once, and merges final
     * progress. INVALID_TRANSITION on a run that was not cancelled. NOT_HOLDER.
     * </pre>
     */
    public void acknowledgeCancel(io.github.runsvc.v1.AcknowledgeCancelRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.AcknowledgeCancelResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getAcknowledgeCancelMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Streams changes in revision order, none skipped, none repeated, from a snapshot or from after_revision on.
     * A client that lost its stream resumes with the revision of its last SNAPSHOT_END, CHANGED, DELETED or HEARTBEAT; if
     * it lost the stream during the snapshot, it starts over. A stream of one run ends with OK after its terminal change;
     * final usage that arrives later is sent to a stream that begins after that change, and to streams of more runs.
     * REVISION_COMPACTED when the log no longer reaches back to after_revision; REVISION_UNKNOWN when the store has not
     * reached it. A server that shuts down ends the stream with SERVER_DRAINING, never with OK. Closing a stream does not
     * cancel the run unless it was opened with `attach`.
     * </pre>
     */
    public void streamStatus(io.github.runsvc.v1.StreamStatusRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.StreamStatusResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncServerStreamingCall(
          getChannel().newCall(getStreamStatusMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Hands PENDING runs to an executor: those that nobody holds or this worker holds become RUNNING under its worker_id,
     * with a lease. Each run goes to exactly one worker. Runs of a higher priority come first, then owners take turns
     * within an assistant, then older runs come first.
     * Without such a run the call waits for one, and returns OK without runs after `wait`. SERVER_DRAINING when the server
     * shuts down meanwhile. If the client gives up, it gets no run: a run that was already taken for it is released.
     * </pre>
     */
    public void claim(io.github.runsvc.v1.ClaimRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.ClaimResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getClaimMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Gives a run back: it becomes PENDING again, without holder and lease, and the attempt does not count. For an
     * executor that shuts down. NOT_HOLDER; INVALID_TRANSITION when the run has ended.
     * </pre>
     */
    public void release(io.github.runsvc.v1.ReleaseRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.ReleaseResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getReleaseMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * A stub to allow clients to do synchronous rpc calls to service RunService.
   * <pre>
   * Creates, executes, cancels and watches runs.
   * Every error carries a google.rpc.ErrorInfo with domain `runsvc` and a reason of ErrorReason. Any call may also fail
   * with INVALID_REQUEST, STORE_UNAVAILABLE, OUTCOME_UNKNOWN (calls that write), OVERLOADED, SERVER_DRAINING or
   * CORRUPT_ROW, and with RUN_NOT_FOUND for a run_id that the caller cannot see. With authentication, any call may fail
   * with UNAUTHENTICATED, and with PERMISSION_DENIED when the caller lacks the role for it.
   * Each call has a scope: one owner, or every owner. A run outside the scope does not exist for the call. A caller whose
   * scope is every owner narrows a call to one owner with the metadata entry `runsvc-owner`: at most 128 printable ASCII
   * characters without spaces; the empty value is the platform's own runs. Another owner than that of the credential is
   * PERMISSION_DENIED. A thread belongs to one owner, so calls that name a thread_id, and creations, take one owner:
   * that of `runsvc-owner`, else of the credential, else the empty one. All other calls act on the whole scope. Without
   * authentication every caller has every owner as its scope, and every role.
   * The server answers a change only after it is durable. A call that its client abandoned takes effect completely or not
   * at all.
   * </pre>
   */
  public static final class RunServiceBlockingV2Stub
      extends io.grpc.stub.AbstractBlockingStub<RunServiceBlockingV2Stub> {
    private RunServiceBlockingV2Stub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected RunServiceBlockingV2Stub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new RunServiceBlockingV2Stub(channel, callOptions);
    }

    /**
     * <pre>
     * Admits a run regardless of the thread's active and queued runs. It is PENDING, or QUEUED if a gate other than THREAD
     * is closed. THREAD_FULL when the thread has as many active or queued runs as the server allows; UNSUPPORTED_STRATEGY
     * for ENQUEUE, which needs CreateOrReject; REQUEST_ID_REUSED.
     * </pre>
     */
    public io.github.runsvc.v1.CreateResponse create(io.github.runsvc.v1.CreateRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getCreateMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Admits a run by its multitask_strategy, in one atomic decision per thread. REJECT: THREAD_BUSY while the thread has
     * an active or a queued run, or with the handover AFTER_STOP a run whose executor has not stopped. INTERRUPT and
     * ROLLBACK: every active or queued run of the thread becomes INTERRUPTED in the same transaction. ENQUEUE: the run is
     * QUEUED until the runs before it have ended. THREAD_FULL when the thread has as many queued runs as the server allows.
     * On a failure nothing changes. REQUEST_ID_REUSED.
     * </pre>
     */
    public io.github.runsvc.v1.CreateOrRejectResponse createOrReject(io.github.runsvc.v1.CreateOrRejectRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getCreateOrRejectMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns a run.
     * </pre>
     */
    public io.github.runsvc.v1.GetResponse get(io.github.runsvc.v1.GetRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getGetMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns a thread's runs, newest first, in pages that neither repeat nor skip runs while others are being created. A
     * thread without runs is an empty page, not an error.
     * </pre>
     */
    public io.github.runsvc.v1.ListByThreadResponse listByThread(io.github.runsvc.v1.ListByThreadRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getListByThreadMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns whether a thread has active runs, their ids, and those of the queued runs.
     * </pre>
     */
    public io.github.runsvc.v1.HasInflightResponse hasInflight(io.github.runsvc.v1.HasInflightRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getHasInflightMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Reports a status. RUNNING is the start: it makes the executor the holder and may give it a lease. NOT_HOLDER when
     * another executor holds the run; INVALID_TRANSITION when the run's status does not allow the new one. Reporting the
     * current status again only renews the holder's lease, which takes the length lease_ttl if that is set. INTERRUPTED on
     * a run that was cancelled or displaced acknowledges the cancel, as AcknowledgeCancel does.
     * </pre>
     */
    public io.github.runsvc.v1.SetStatusResponse setStatus(io.github.runsvc.v1.SetStatusRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getSetStatusMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Reports the end: status, error, result and usage in one write. On a run that already has that status and no final
     * progress yet, the progress is merged, as a change with a revision of its own. INTERRUPTED acknowledges a cancel, as
     * in SetStatus. NOT_HOLDER, INVALID_TRANSITION as in SetStatus.
     * </pre>
     */
    public io.github.runsvc.v1.CompleteResponse complete(io.github.runsvc.v1.CompleteRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getCompleteMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Merges the progress fields that are set, while the run is RUNNING. On any other run nothing changes and `applied`
     * is false; the response carries the run, so that an executor learns of a cancel here. Renews the lease either way.
     * Never changes the status. Final progress of a run that has ended is a change with a revision of its own; other
     * progress has none. NOT_HOLDER.
     * </pre>
     */
    public io.github.runsvc.v1.UpdateProgressResponse updateProgress(io.github.runsvc.v1.UpdateProgressRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getUpdateProgressMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Sets or clears the model name of an active run. INVALID_TRANSITION after the run has ended.
     * </pre>
     */
    public io.github.runsvc.v1.UpdateModelNameResponse updateModelName(io.github.runsvc.v1.UpdateModelNameRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getUpdateModelNameMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Sets and removes top-level keys of a run's metadata, at any time, also after the end. Needs no holder and renews no
     * lease. Has no revision; watches with include_progress receive it as PROGRESS.
     * </pre>
     */
    public io.github.runsvc.v1.UpdateMetadataResponse updateMetadata(io.github.runsvc.v1.UpdateMetadataRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getUpdateMetadataMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Renews the holder's lease, as every other report does too; changes nothing on a run without a lease. On an
     * INTERRUPTED run it succeeds and returns the run, so that the executor learns of the cancel; on a run that ended
     * otherwise INVALID_TRANSITION. NOT_HOLDER.
     * </pre>
     */
    public io.github.runsvc.v1.HeartbeatResponse heartbeat(io.github.runsvc.v1.HeartbeatRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getHeartbeatMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Cancels an active or queued run, regardless of its creator. A run that has ended stays unchanged; `outcome`
     * distinguishes the cases.
     * </pre>
     */
    public io.github.runsvc.v1.CancelResponse cancel(io.github.runsvc.v1.CancelRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getCancelMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Reports that the executor of a cancelled run has stopped. Sets cancellation.acknowledged_at, once, and merges final
     * progress. INVALID_TRANSITION on a run that was not cancelled. NOT_HOLDER.
     * </pre>
     */
    public io.github.runsvc.v1.AcknowledgeCancelResponse acknowledgeCancel(io.github.runsvc.v1.AcknowledgeCancelRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getAcknowledgeCancelMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Streams changes in revision order, none skipped, none repeated, from a snapshot or from after_revision on.
     * A client that lost its stream resumes with the revision of its last SNAPSHOT_END, CHANGED, DELETED or HEARTBEAT; if
     * it lost the stream during the snapshot, it starts over. A stream of one run ends with OK after its terminal change;
     * final usage that arrives later is sent to a stream that begins after that change, and to streams of more runs.
     * REVISION_COMPACTED when the log no longer reaches back to after_revision; REVISION_UNKNOWN when the store has not
     * reached it. A server that shuts down ends the stream with SERVER_DRAINING, never with OK. Closing a stream does not
     * cancel the run unless it was opened with `attach`.
     * </pre>
     */
    @io.grpc.ExperimentalApi("https://github.com/grpc/grpc-java/issues/10918")
    public io.grpc.stub.BlockingClientCall<?, io.github.runsvc.v1.StreamStatusResponse>
        streamStatus(io.github.runsvc.v1.StreamStatusRequest request) {
      return io.grpc.stub.ClientCalls.blockingV2ServerStreamingCall(
          getChannel(), getStreamStatusMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Hands PENDING runs to an executor: those that nobody holds or this worker holds become RUNNING under its worker_id,
     * with a lease. Each run goes to exactly one worker. Runs of a higher priority come first, then owners take turns
     * within an assistant, then older runs come first.
     * Without such a run the call waits for one, and returns OK without runs after `wait`. SERVER_DRAINING when the server
     * shuts down meanwhile. If the client gives up, it gets no run: a run that was already taken for it is released.
     * </pre>
     */
    public io.github.runsvc.v1.ClaimResponse claim(io.github.runsvc.v1.ClaimRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getClaimMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Gives a run back: it becomes PENDING again, without holder and lease, and the attempt does not count. For an
     * executor that shuts down. NOT_HOLDER; INVALID_TRANSITION when the run has ended.
     * </pre>
     */
    public io.github.runsvc.v1.ReleaseResponse release(io.github.runsvc.v1.ReleaseRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getReleaseMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do limited synchronous rpc calls to service RunService.
   * <pre>
   * Creates, executes, cancels and watches runs.
   * Every error carries a google.rpc.ErrorInfo with domain `runsvc` and a reason of ErrorReason. Any call may also fail
   * with INVALID_REQUEST, STORE_UNAVAILABLE, OUTCOME_UNKNOWN (calls that write), OVERLOADED, SERVER_DRAINING or
   * CORRUPT_ROW, and with RUN_NOT_FOUND for a run_id that the caller cannot see. With authentication, any call may fail
   * with UNAUTHENTICATED, and with PERMISSION_DENIED when the caller lacks the role for it.
   * Each call has a scope: one owner, or every owner. A run outside the scope does not exist for the call. A caller whose
   * scope is every owner narrows a call to one owner with the metadata entry `runsvc-owner`: at most 128 printable ASCII
   * characters without spaces; the empty value is the platform's own runs. Another owner than that of the credential is
   * PERMISSION_DENIED. A thread belongs to one owner, so calls that name a thread_id, and creations, take one owner:
   * that of `runsvc-owner`, else of the credential, else the empty one. All other calls act on the whole scope. Without
   * authentication every caller has every owner as its scope, and every role.
   * The server answers a change only after it is durable. A call that its client abandoned takes effect completely or not
   * at all.
   * </pre>
   */
  public static final class RunServiceBlockingStub
      extends io.grpc.stub.AbstractBlockingStub<RunServiceBlockingStub> {
    private RunServiceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected RunServiceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new RunServiceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Admits a run regardless of the thread's active and queued runs. It is PENDING, or QUEUED if a gate other than THREAD
     * is closed. THREAD_FULL when the thread has as many active or queued runs as the server allows; UNSUPPORTED_STRATEGY
     * for ENQUEUE, which needs CreateOrReject; REQUEST_ID_REUSED.
     * </pre>
     */
    public io.github.runsvc.v1.CreateResponse create(io.github.runsvc.v1.CreateRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getCreateMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Admits a run by its multitask_strategy, in one atomic decision per thread. REJECT: THREAD_BUSY while the thread has
     * an active or a queued run, or with the handover AFTER_STOP a run whose executor has not stopped. INTERRUPT and
     * ROLLBACK: every active or queued run of the thread becomes INTERRUPTED in the same transaction. ENQUEUE: the run is
     * QUEUED until the runs before it have ended. THREAD_FULL when the thread has as many queued runs as the server allows.
     * On a failure nothing changes. REQUEST_ID_REUSED.
     * </pre>
     */
    public io.github.runsvc.v1.CreateOrRejectResponse createOrReject(io.github.runsvc.v1.CreateOrRejectRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getCreateOrRejectMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns a run.
     * </pre>
     */
    public io.github.runsvc.v1.GetResponse get(io.github.runsvc.v1.GetRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getGetMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns a thread's runs, newest first, in pages that neither repeat nor skip runs while others are being created. A
     * thread without runs is an empty page, not an error.
     * </pre>
     */
    public io.github.runsvc.v1.ListByThreadResponse listByThread(io.github.runsvc.v1.ListByThreadRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getListByThreadMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns whether a thread has active runs, their ids, and those of the queued runs.
     * </pre>
     */
    public io.github.runsvc.v1.HasInflightResponse hasInflight(io.github.runsvc.v1.HasInflightRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getHasInflightMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Reports a status. RUNNING is the start: it makes the executor the holder and may give it a lease. NOT_HOLDER when
     * another executor holds the run; INVALID_TRANSITION when the run's status does not allow the new one. Reporting the
     * current status again only renews the holder's lease, which takes the length lease_ttl if that is set. INTERRUPTED on
     * a run that was cancelled or displaced acknowledges the cancel, as AcknowledgeCancel does.
     * </pre>
     */
    public io.github.runsvc.v1.SetStatusResponse setStatus(io.github.runsvc.v1.SetStatusRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getSetStatusMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Reports the end: status, error, result and usage in one write. On a run that already has that status and no final
     * progress yet, the progress is merged, as a change with a revision of its own. INTERRUPTED acknowledges a cancel, as
     * in SetStatus. NOT_HOLDER, INVALID_TRANSITION as in SetStatus.
     * </pre>
     */
    public io.github.runsvc.v1.CompleteResponse complete(io.github.runsvc.v1.CompleteRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getCompleteMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Merges the progress fields that are set, while the run is RUNNING. On any other run nothing changes and `applied`
     * is false; the response carries the run, so that an executor learns of a cancel here. Renews the lease either way.
     * Never changes the status. Final progress of a run that has ended is a change with a revision of its own; other
     * progress has none. NOT_HOLDER.
     * </pre>
     */
    public io.github.runsvc.v1.UpdateProgressResponse updateProgress(io.github.runsvc.v1.UpdateProgressRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getUpdateProgressMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Sets or clears the model name of an active run. INVALID_TRANSITION after the run has ended.
     * </pre>
     */
    public io.github.runsvc.v1.UpdateModelNameResponse updateModelName(io.github.runsvc.v1.UpdateModelNameRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getUpdateModelNameMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Sets and removes top-level keys of a run's metadata, at any time, also after the end. Needs no holder and renews no
     * lease. Has no revision; watches with include_progress receive it as PROGRESS.
     * </pre>
     */
    public io.github.runsvc.v1.UpdateMetadataResponse updateMetadata(io.github.runsvc.v1.UpdateMetadataRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getUpdateMetadataMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Renews the holder's lease, as every other report does too; changes nothing on a run without a lease. On an
     * INTERRUPTED run it succeeds and returns the run, so that the executor learns of the cancel; on a run that ended
     * otherwise INVALID_TRANSITION. NOT_HOLDER.
     * </pre>
     */
    public io.github.runsvc.v1.HeartbeatResponse heartbeat(io.github.runsvc.v1.HeartbeatRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getHeartbeatMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Cancels an active or queued run, regardless of its creator. A run that has ended stays unchanged; `outcome`
     * distinguishes the cases.
     * </pre>
     */
    public io.github.runsvc.v1.CancelResponse cancel(io.github.runsvc.v1.CancelRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getCancelMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Reports that the executor of a cancelled run has stopped. Sets cancellation.acknowledged_at, once, and merges final
     * progress. INVALID_TRANSITION on a run that was not cancelled. NOT_HOLDER.
     * </pre>
     */
    public io.github.runsvc.v1.AcknowledgeCancelResponse acknowledgeCancel(io.github.runsvc.v1.AcknowledgeCancelRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getAcknowledgeCancelMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Streams changes in revision order, none skipped, none repeated, from a snapshot or from after_revision on.
     * A client that lost its stream resumes with the revision of its last SNAPSHOT_END, CHANGED, DELETED or HEARTBEAT; if
     * it lost the stream during the snapshot, it starts over. A stream of one run ends with OK after its terminal change;
     * final usage that arrives later is sent to a stream that begins after that change, and to streams of more runs.
     * REVISION_COMPACTED when the log no longer reaches back to after_revision; REVISION_UNKNOWN when the store has not
     * reached it. A server that shuts down ends the stream with SERVER_DRAINING, never with OK. Closing a stream does not
     * cancel the run unless it was opened with `attach`.
     * </pre>
     */
    public java.util.Iterator<io.github.runsvc.v1.StreamStatusResponse> streamStatus(
        io.github.runsvc.v1.StreamStatusRequest request) {
      return io.grpc.stub.ClientCalls.blockingServerStreamingCall(
          getChannel(), getStreamStatusMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Hands PENDING runs to an executor: those that nobody holds or this worker holds become RUNNING under its worker_id,
     * with a lease. Each run goes to exactly one worker. Runs of a higher priority come first, then owners take turns
     * within an assistant, then older runs come first.
     * Without such a run the call waits for one, and returns OK without runs after `wait`. SERVER_DRAINING when the server
     * shuts down meanwhile. If the client gives up, it gets no run: a run that was already taken for it is released.
     * </pre>
     */
    public io.github.runsvc.v1.ClaimResponse claim(io.github.runsvc.v1.ClaimRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getClaimMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Gives a run back: it becomes PENDING again, without holder and lease, and the attempt does not count. For an
     * executor that shuts down. NOT_HOLDER; INVALID_TRANSITION when the run has ended.
     * </pre>
     */
    public io.github.runsvc.v1.ReleaseResponse release(io.github.runsvc.v1.ReleaseRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getReleaseMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do ListenableFuture-style rpc calls to service RunService.
   * <pre>
   * Creates, executes, cancels and watches runs.
   * Every error carries a google.rpc.ErrorInfo with domain `runsvc` and a reason of ErrorReason. Any call may also fail
   * with INVALID_REQUEST, STORE_UNAVAILABLE, OUTCOME_UNKNOWN (calls that write), OVERLOADED, SERVER_DRAINING or
   * CORRUPT_ROW, and with RUN_NOT_FOUND for a run_id that the caller cannot see. With authentication, any call may fail
   * with UNAUTHENTICATED, and with PERMISSION_DENIED when the caller lacks the role for it.
   * Each call has a scope: one owner, or every owner. A run outside the scope does not exist for the call. A caller whose
   * scope is every owner narrows a call to one owner with the metadata entry `runsvc-owner`: at most 128 printable ASCII
   * characters without spaces; the empty value is the platform's own runs. Another owner than that of the credential is
   * PERMISSION_DENIED. A thread belongs to one owner, so calls that name a thread_id, and creations, take one owner:
   * that of `runsvc-owner`, else of the credential, else the empty one. All other calls act on the whole scope. Without
   * authentication every caller has every owner as its scope, and every role.
   * The server answers a change only after it is durable. A call that its client abandoned takes effect completely or not
   * at all.
   * </pre>
   */
  public static final class RunServiceFutureStub
      extends io.grpc.stub.AbstractFutureStub<RunServiceFutureStub> {
    private RunServiceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected RunServiceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new RunServiceFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Admits a run regardless of the thread's active and queued runs. It is PENDING, or QUEUED if a gate other than THREAD
     * is closed. THREAD_FULL when the thread has as many active or queued runs as the server allows; UNSUPPORTED_STRATEGY
     * for ENQUEUE, which needs CreateOrReject; REQUEST_ID_REUSED.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.CreateResponse> create(
        io.github.runsvc.v1.CreateRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getCreateMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Admits a run by its multitask_strategy, in one atomic decision per thread. REJECT: THREAD_BUSY while the thread has
     * an active or a queued run, or with the handover AFTER_STOP a run whose executor has not stopped. INTERRUPT and
     * ROLLBACK: every active or queued run of the thread becomes INTERRUPTED in the same transaction. ENQUEUE: the run is
     * QUEUED until the runs before it have ended. THREAD_FULL when the thread has as many queued runs as the server allows.
     * On a failure nothing changes. REQUEST_ID_REUSED.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.CreateOrRejectResponse> createOrReject(
        io.github.runsvc.v1.CreateOrRejectRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getCreateOrRejectMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Returns a run.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.GetResponse> get(
        io.github.runsvc.v1.GetRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getGetMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Returns a thread's runs, newest first, in pages that neither repeat nor skip runs while others are being created. A
     * thread without runs is an empty page, not an error.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.ListByThreadResponse> listByThread(
        io.github.runsvc.v1.ListByThreadRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getListByThreadMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Returns whether a thread has active runs, their ids, and those of the queued runs.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.HasInflightResponse> hasInflight(
        io.github.runsvc.v1.HasInflightRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getHasInflightMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Reports a status. RUNNING is the start: it makes the executor the holder and may give it a lease. NOT_HOLDER when
     * another executor holds the run; INVALID_TRANSITION when the run's status does not allow the new one. Reporting the
     * current status again only renews the holder's lease, which takes the length lease_ttl if that is set. INTERRUPTED on
     * a run that was cancelled or displaced acknowledges the cancel, as AcknowledgeCancel does.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.SetStatusResponse> setStatus(
        io.github.runsvc.v1.SetStatusRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getSetStatusMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Reports the end: status, error, result and usage in one write. On a run that already has that status and no final
     * progress yet, the progress is merged, as a change with a revision of its own. INTERRUPTED acknowledges a cancel, as
     * in SetStatus. NOT_HOLDER, INVALID_TRANSITION as in SetStatus.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.CompleteResponse> complete(
        io.github.runsvc.v1.CompleteRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getCompleteMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Merges the progress fields that are set, while the run is RUNNING. On any other run nothing changes and `applied`
     * is false; the response carries the run, so that an executor learns of a cancel here. Renews the lease either way.
     * Never changes the status. Final progress of a run that has ended is a change with a revision of its own; other
     * progress has none. NOT_HOLDER.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.UpdateProgressResponse> updateProgress(
        io.github.runsvc.v1.UpdateProgressRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getUpdateProgressMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Sets or clears the model name of an active run. INVALID_TRANSITION after the run has ended.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.UpdateModelNameResponse> updateModelName(
        io.github.runsvc.v1.UpdateModelNameRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getUpdateModelNameMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Sets and removes top-level keys of a run's metadata, at any time, also after the end. Needs no holder and renews no
     * lease. Has no revision; watches with include_progress receive it as PROGRESS.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.UpdateMetadataResponse> updateMetadata(
        io.github.runsvc.v1.UpdateMetadataRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getUpdateMetadataMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Renews the holder's lease, as every other report does too; changes nothing on a run without a lease. On an
     * INTERRUPTED run it succeeds and returns the run, so that the executor learns of the cancel; on a run that ended
     * otherwise INVALID_TRANSITION. NOT_HOLDER.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.HeartbeatResponse> heartbeat(
        io.github.runsvc.v1.HeartbeatRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getHeartbeatMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Cancels an active or queued run, regardless of its creator. A run that has ended stays unchanged; `outcome`
     * distinguishes the cases.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.CancelResponse> cancel(
        io.github.runsvc.v1.CancelRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getCancelMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Reports that the executor of a cancelled run has stopped. Sets cancellation.acknowledged_at, once, and merges final
     * progress. INVALID_TRANSITION on a run that was not cancelled. NOT_HOLDER.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.AcknowledgeCancelResponse> acknowledgeCancel(
        io.github.runsvc.v1.AcknowledgeCancelRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getAcknowledgeCancelMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Hands PENDING runs to an executor: those that nobody holds or this worker holds become RUNNING under its worker_id,
     * with a lease. Each run goes to exactly one worker. Runs of a higher priority come first, then owners take turns
     * within an assistant, then older runs come first.
     * Without such a run the call waits for one, and returns OK without runs after `wait`. SERVER_DRAINING when the server
     * shuts down meanwhile. If the client gives up, it gets no run: a run that was already taken for it is released.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.ClaimResponse> claim(
        io.github.runsvc.v1.ClaimRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getClaimMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Gives a run back: it becomes PENDING again, without holder and lease, and the attempt does not count. For an
     * executor that shuts down. NOT_HOLDER; INVALID_TRANSITION when the run has ended.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.ReleaseResponse> release(
        io.github.runsvc.v1.ReleaseRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getReleaseMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_CREATE = 0;
  private static final int METHODID_CREATE_OR_REJECT = 1;
  private static final int METHODID_GET = 2;
  private static final int METHODID_LIST_BY_THREAD = 3;
  private static final int METHODID_HAS_INFLIGHT = 4;
  private static final int METHODID_SET_STATUS = 5;
  private static final int METHODID_COMPLETE = 6;
  private static final int METHODID_UPDATE_PROGRESS = 7;
  private static final int METHODID_UPDATE_MODEL_NAME = 8;
  private static final int METHODID_UPDATE_METADATA = 9;
  private static final int METHODID_HEARTBEAT = 10;
  private static final int METHODID_CANCEL = 11;
  private static final int METHODID_ACKNOWLEDGE_CANCEL = 12;
  private static final int METHODID_STREAM_STATUS = 13;
  private static final int METHODID_CLAIM = 14;
  private static final int METHODID_RELEASE = 15;

  private static final class MethodHandlers<Req, Resp> implements
      io.grpc.stub.ServerCalls.UnaryMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ServerStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ClientStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.BidiStreamingMethod<Req, Resp> {
    private final AsyncService serviceImpl;
    private final int methodId;

    MethodHandlers(AsyncService serviceImpl, int methodId) {
      this.serviceImpl = serviceImpl;
      this.methodId = methodId;
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public void invoke(Req request, io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_CREATE:
          serviceImpl.create((io.github.runsvc.v1.CreateRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.CreateResponse>) responseObserver);
          break;
        case METHODID_CREATE_OR_REJECT:
          serviceImpl.createOrReject((io.github.runsvc.v1.CreateOrRejectRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.CreateOrRejectResponse>) responseObserver);
          break;
        case METHODID_GET:
          serviceImpl.get((io.github.runsvc.v1.GetRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.GetResponse>) responseObserver);
          break;
        case METHODID_LIST_BY_THREAD:
          serviceImpl.listByThread((io.github.runsvc.v1.ListByThreadRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.ListByThreadResponse>) responseObserver);
          break;
        case METHODID_HAS_INFLIGHT:
          serviceImpl.hasInflight((io.github.runsvc.v1.HasInflightRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.HasInflightResponse>) responseObserver);
          break;
        case METHODID_SET_STATUS:
          serviceImpl.setStatus((io.github.runsvc.v1.SetStatusRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.SetStatusResponse>) responseObserver);
          break;
        case METHODID_COMPLETE:
          serviceImpl.complete((io.github.runsvc.v1.CompleteRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.CompleteResponse>) responseObserver);
          break;
        case METHODID_UPDATE_PROGRESS:
          serviceImpl.updateProgress((io.github.runsvc.v1.UpdateProgressRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.UpdateProgressResponse>) responseObserver);
          break;
        case METHODID_UPDATE_MODEL_NAME:
          serviceImpl.updateModelName((io.github.runsvc.v1.UpdateModelNameRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.UpdateModelNameResponse>) responseObserver);
          break;
        case METHODID_UPDATE_METADATA:
          serviceImpl.updateMetadata((io.github.runsvc.v1.UpdateMetadataRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.UpdateMetadataResponse>) responseObserver);
          break;
        case METHODID_HEARTBEAT:
          serviceImpl.heartbeat((io.github.runsvc.v1.HeartbeatRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.HeartbeatResponse>) responseObserver);
          break;
        case METHODID_CANCEL:
          serviceImpl.cancel((io.github.runsvc.v1.CancelRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.CancelResponse>) responseObserver);
          break;
        case METHODID_ACKNOWLEDGE_CANCEL:
          serviceImpl.acknowledgeCancel((io.github.runsvc.v1.AcknowledgeCancelRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.AcknowledgeCancelResponse>) responseObserver);
          break;
        case METHODID_STREAM_STATUS:
          serviceImpl.streamStatus((io.github.runsvc.v1.StreamStatusRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.StreamStatusResponse>) responseObserver);
          break;
        case METHODID_CLAIM:
          serviceImpl.claim((io.github.runsvc.v1.ClaimRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.ClaimResponse>) responseObserver);
          break;
        case METHODID_RELEASE:
          serviceImpl.release((io.github.runsvc.v1.ReleaseRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.ReleaseResponse>) responseObserver);
          break;
        default:
          throw new AssertionError();
      }
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public io.grpc.stub.StreamObserver<Req> invoke(
        io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        default:
          throw new AssertionError();
      }
    }
  }

  public static final io.grpc.ServerServiceDefinition bindService(AsyncService service) {
    return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
        .addMethod(
          getCreateMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.CreateRequest,
              io.github.runsvc.v1.CreateResponse>(
                service, METHODID_CREATE)))
        .addMethod(
          getCreateOrRejectMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.CreateOrRejectRequest,
              io.github.runsvc.v1.CreateOrRejectResponse>(
                service, METHODID_CREATE_OR_REJECT)))
        .addMethod(
          getGetMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.GetRequest,
              io.github.runsvc.v1.GetResponse>(
                service, METHODID_GET)))
        .addMethod(
          getListByThreadMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.ListByThreadRequest,
              io.github.runsvc.v1.ListByThreadResponse>(
                service, METHODID_LIST_BY_THREAD)))
        .addMethod(
          getHasInflightMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.HasInflightRequest,
              io.github.runsvc.v1.HasInflightResponse>(
                service, METHODID_HAS_INFLIGHT)))
        .addMethod(
          getSetStatusMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.SetStatusRequest,
              io.github.runsvc.v1.SetStatusResponse>(
                service, METHODID_SET_STATUS)))
        .addMethod(
          getCompleteMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.CompleteRequest,
              io.github.runsvc.v1.CompleteResponse>(
                service, METHODID_COMPLETE)))
        .addMethod(
          getUpdateProgressMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.UpdateProgressRequest,
              io.github.runsvc.v1.UpdateProgressResponse>(
                service, METHODID_UPDATE_PROGRESS)))
        .addMethod(
          getUpdateModelNameMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.UpdateModelNameRequest,
              io.github.runsvc.v1.UpdateModelNameResponse>(
                service, METHODID_UPDATE_MODEL_NAME)))
        .addMethod(
          getUpdateMetadataMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.UpdateMetadataRequest,
              io.github.runsvc.v1.UpdateMetadataResponse>(
                service, METHODID_UPDATE_METADATA)))
        .addMethod(
          getHeartbeatMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.HeartbeatRequest,
              io.github.runsvc.v1.HeartbeatResponse>(
                service, METHODID_HEARTBEAT)))
        .addMethod(
          getCancelMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.CancelRequest,
              io.github.runsvc.v1.CancelResponse>(
                service, METHODID_CANCEL)))
        .addMethod(
          getAcknowledgeCancelMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.AcknowledgeCancelRequest,
              io.github.runsvc.v1.AcknowledgeCancelResponse>(
                service, METHODID_ACKNOWLEDGE_CANCEL)))
        .addMethod(
          getStreamStatusMethod(),
          io.grpc.stub.ServerCalls.asyncServerStreamingCall(
            new MethodHandlers<
              io.github.runsvc.v1.StreamStatusRequest,
              io.github.runsvc.v1.StreamStatusResponse>(
                service, METHODID_STREAM_STATUS)))
        .addMethod(
          getClaimMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.ClaimRequest,
              io.github.runsvc.v1.ClaimResponse>(
                service, METHODID_CLAIM)))
        .addMethod(
          getReleaseMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.ReleaseRequest,
              io.github.runsvc.v1.ReleaseResponse>(
                service, METHODID_RELEASE)))
        .build();
  }

  private static abstract class RunServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    RunServiceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return io.github.runsvc.v1.RunServiceProto.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("RunService");
    }
  }

  private static final class RunServiceFileDescriptorSupplier
      extends RunServiceBaseDescriptorSupplier {
    RunServiceFileDescriptorSupplier() {}
  }

  private static final class RunServiceMethodDescriptorSupplier
      extends RunServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final java.lang.String methodName;

    RunServiceMethodDescriptorSupplier(java.lang.String methodName) {
      this.methodName = methodName;
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.MethodDescriptor getMethodDescriptor() {
      return getServiceDescriptor().findMethodByName(methodName);
    }
  }

  private static volatile io.grpc.ServiceDescriptor serviceDescriptor;

  public static io.grpc.ServiceDescriptor getServiceDescriptor() {
    io.grpc.ServiceDescriptor result = serviceDescriptor;
    if (result == null) {
      synchronized (RunServiceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new RunServiceFileDescriptorSupplier())
              .addMethod(getCreateMethod())
              .addMethod(getCreateOrRejectMethod())
              .addMethod(getGetMethod())
              .addMethod(getListByThreadMethod())
              .addMethod(getHasInflightMethod())
              .addMethod(getSetStatusMethod())
              .addMethod(getCompleteMethod())
              .addMethod(getUpdateProgressMethod())
              .addMethod(getUpdateModelNameMethod())
              .addMethod(getUpdateMetadataMethod())
              .addMethod(getHeartbeatMethod())
              .addMethod(getCancelMethod())
              .addMethod(getAcknowledgeCancelMethod())
              .addMethod(getStreamStatusMethod())
              .addMethod(getClaimMethod())
              .addMethod(getReleaseMethod())
              .build();
        }
      }
    }
    return result;
  }
}
