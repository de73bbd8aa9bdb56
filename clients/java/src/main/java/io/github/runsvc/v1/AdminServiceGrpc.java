package io.github.runsvc.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Ends orphaned runs, removes runs and describes the server. Needs the admin role when authentication is on. Acts on
 * the runs of every owner, or of the one in the metadata entry `runsvc-owner`.
 * The errors are those of RunService.
 * </pre>
 */
@io.grpc.stub.annotations.GrpcGenerated
public final class AdminServiceGrpc {

  private AdminServiceGrpc() {}

  public static final java.lang.String SERVICE_NAME = "runsvc.v1.AdminService";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.ReconcileOrphansRequest,
      io.github.runsvc.v1.ReconcileOrphansResponse> getReconcileOrphansMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ReconcileOrphans",
      requestType = io.github.runsvc.v1.ReconcileOrphansRequest.class,
      responseType = io.github.runsvc.v1.ReconcileOrphansResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.ReconcileOrphansRequest,
      io.github.runsvc.v1.ReconcileOrphansResponse> getReconcileOrphansMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.ReconcileOrphansRequest, io.github.runsvc.v1.ReconcileOrphansResponse> getReconcileOrphansMethod;
    if ((getReconcileOrphansMethod = AdminServiceGrpc.getReconcileOrphansMethod) == null) {
      synchronized (AdminServiceGrpc.class) {
        if ((getReconcileOrphansMethod = AdminServiceGrpc.getReconcileOrphansMethod) == null) {
          AdminServiceGrpc.getReconcileOrphansMethod = getReconcileOrphansMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.ReconcileOrphansRequest, io.github.runsvc.v1.ReconcileOrphansResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ReconcileOrphans"))
              .setIdempotent(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.ReconcileOrphansRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.ReconcileOrphansResponse.getDefaultInstance()))
              .setSchemaDescriptor(new AdminServiceMethodDescriptorSupplier("ReconcileOrphans"))
              .build();
        }
      }
    }
    return getReconcileOrphansMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.DeleteRequest,
      io.github.runsvc.v1.DeleteResponse> getDeleteMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Delete",
      requestType = io.github.runsvc.v1.DeleteRequest.class,
      responseType = io.github.runsvc.v1.DeleteResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.DeleteRequest,
      io.github.runsvc.v1.DeleteResponse> getDeleteMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.DeleteRequest, io.github.runsvc.v1.DeleteResponse> getDeleteMethod;
    if ((getDeleteMethod = AdminServiceGrpc.getDeleteMethod) == null) {
      synchronized (AdminServiceGrpc.class) {
        if ((getDeleteMethod = AdminServiceGrpc.getDeleteMethod) == null) {
          AdminServiceGrpc.getDeleteMethod = getDeleteMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.DeleteRequest, io.github.runsvc.v1.DeleteResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Delete"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.DeleteRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.DeleteResponse.getDefaultInstance()))
              .setSchemaDescriptor(new AdminServiceMethodDescriptorSupplier("Delete"))
              .build();
        }
      }
    }
    return getDeleteMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.GetServerInfoRequest,
      io.github.runsvc.v1.GetServerInfoResponse> getGetServerInfoMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "GetServerInfo",
      requestType = io.github.runsvc.v1.GetServerInfoRequest.class,
      responseType = io.github.runsvc.v1.GetServerInfoResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.GetServerInfoRequest,
      io.github.runsvc.v1.GetServerInfoResponse> getGetServerInfoMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.GetServerInfoRequest, io.github.runsvc.v1.GetServerInfoResponse> getGetServerInfoMethod;
    if ((getGetServerInfoMethod = AdminServiceGrpc.getGetServerInfoMethod) == null) {
      synchronized (AdminServiceGrpc.class) {
        if ((getGetServerInfoMethod = AdminServiceGrpc.getGetServerInfoMethod) == null) {
          AdminServiceGrpc.getGetServerInfoMethod = getGetServerInfoMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.GetServerInfoRequest, io.github.runsvc.v1.GetServerInfoResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "GetServerInfo"))
              .setSafe(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.GetServerInfoRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.GetServerInfoResponse.getDefaultInstance()))
              .setSchemaDescriptor(new AdminServiceMethodDescriptorSupplier("GetServerInfo"))
              .build();
        }
      }
    }
    return getGetServerInfoMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.SetConcurrencyLimitRequest,
      io.github.runsvc.v1.SetConcurrencyLimitResponse> getSetConcurrencyLimitMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "SetConcurrencyLimit",
      requestType = io.github.runsvc.v1.SetConcurrencyLimitRequest.class,
      responseType = io.github.runsvc.v1.SetConcurrencyLimitResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.SetConcurrencyLimitRequest,
      io.github.runsvc.v1.SetConcurrencyLimitResponse> getSetConcurrencyLimitMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.SetConcurrencyLimitRequest, io.github.runsvc.v1.SetConcurrencyLimitResponse> getSetConcurrencyLimitMethod;
    if ((getSetConcurrencyLimitMethod = AdminServiceGrpc.getSetConcurrencyLimitMethod) == null) {
      synchronized (AdminServiceGrpc.class) {
        if ((getSetConcurrencyLimitMethod = AdminServiceGrpc.getSetConcurrencyLimitMethod) == null) {
          AdminServiceGrpc.getSetConcurrencyLimitMethod = getSetConcurrencyLimitMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.SetConcurrencyLimitRequest, io.github.runsvc.v1.SetConcurrencyLimitResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "SetConcurrencyLimit"))
              .setIdempotent(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.SetConcurrencyLimitRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.SetConcurrencyLimitResponse.getDefaultInstance()))
              .setSchemaDescriptor(new AdminServiceMethodDescriptorSupplier("SetConcurrencyLimit"))
              .build();
        }
      }
    }
    return getSetConcurrencyLimitMethod;
  }

  private static volatile io.grpc.MethodDescriptor<io.github.runsvc.v1.ListConcurrencyLimitsRequest,
      io.github.runsvc.v1.ListConcurrencyLimitsResponse> getListConcurrencyLimitsMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ListConcurrencyLimits",
      requestType = io.github.runsvc.v1.ListConcurrencyLimitsRequest.class,
      responseType = io.github.runsvc.v1.ListConcurrencyLimitsResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<io.github.runsvc.v1.ListConcurrencyLimitsRequest,
      io.github.runsvc.v1.ListConcurrencyLimitsResponse> getListConcurrencyLimitsMethod() {
    io.grpc.MethodDescriptor<io.github.runsvc.v1.ListConcurrencyLimitsRequest, io.github.runsvc.v1.ListConcurrencyLimitsResponse> getListConcurrencyLimitsMethod;
    if ((getListConcurrencyLimitsMethod = AdminServiceGrpc.getListConcurrencyLimitsMethod) == null) {
      synchronized (AdminServiceGrpc.class) {
        if ((getListConcurrencyLimitsMethod = AdminServiceGrpc.getListConcurrencyLimitsMethod) == null) {
          AdminServiceGrpc.getListConcurrencyLimitsMethod = getListConcurrencyLimitsMethod =
              io.grpc.MethodDescriptor.<io.github.runsvc.v1.ListConcurrencyLimitsRequest, io.github.runsvc.v1.ListConcurrencyLimitsResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ListConcurrencyLimits"))
              .setSafe(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.ListConcurrencyLimitsRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  io.github.runsvc.v1.ListConcurrencyLimitsResponse.getDefaultInstance()))
              .setSchemaDescriptor(new AdminServiceMethodDescriptorSupplier("ListConcurrencyLimits"))
              .build();
        }
      }
    }
    return getListConcurrencyLimitsMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static AdminServiceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<AdminServiceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<AdminServiceStub>() {
        @java.lang.Override
        public AdminServiceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new AdminServiceStub(channel, callOptions);
        }
      };
    return AdminServiceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports all types of calls on the service
   */
  public static AdminServiceBlockingV2Stub newBlockingV2Stub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<AdminServiceBlockingV2Stub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<AdminServiceBlockingV2Stub>() {
        @java.lang.Override
        public AdminServiceBlockingV2Stub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new AdminServiceBlockingV2Stub(channel, callOptions);
        }
      };
    return AdminServiceBlockingV2Stub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static AdminServiceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<AdminServiceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<AdminServiceBlockingStub>() {
        @java.lang.Override
        public AdminServiceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new AdminServiceBlockingStub(channel, callOptions);
        }
      };
    return AdminServiceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static AdminServiceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<AdminServiceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<AdminServiceFutureStub>() {
        @java.lang.Override
        public AdminServiceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new AdminServiceFutureStub(channel, callOptions);
        }
      };
    return AdminServiceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Ends orphaned runs, removes runs and describes the server. Needs the admin role when authentication is on. Acts on
   * the runs of every owner, or of the one in the metadata entry `runsvc-owner`.
   * The errors are those of RunService.
   * </pre>
   */
  public interface AsyncService {

    /**
     * <pre>
     * Ends active runs that no living executor holds: a run without a lease, or with an expired one, becomes ERROR with
     * reason ORPHANED, oldest first. PENDING runs are among them. Repeat the call while `more` is true; after that it
     * finds nothing. Watchers receive ordinary changes.
     * </pre>
     */
    default void reconcileOrphans(io.github.runsvc.v1.ReconcileOrphansRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.ReconcileOrphansResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getReconcileOrphansMethod(), responseObserver);
    }

    /**
     * <pre>
     * Removes a terminal run, its request id, and the payload of its log entries. INVALID_TRANSITION for an active run.
     * Also removes a run that cannot be read (CORRUPT_ROW). A late report for a removed run is RUN_NOT_FOUND and does not
     * restore it.
     * </pre>
     */
    default void delete(io.github.runsvc.v1.DeleteRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.DeleteResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getDeleteMethod(), responseObserver);
    }

    /**
     * <pre>
     * Returns the server's version, the identity of its store, and counts of runs and streams.
     * </pre>
     */
    default void getServerInfo(io.github.runsvc.v1.GetServerInfoRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.GetServerInfoResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getGetServerInfoMethod(), responseObserver);
    }

    /**
     * <pre>
     * Sets, changes or removes a concurrency limit. A wider limit makes waiting runs PENDING in the same transaction; a
     * narrower one ends no run. INVALID_REQUEST when the store already has 1,000 limits.
     * </pre>
     */
    default void setConcurrencyLimit(io.github.runsvc.v1.SetConcurrencyLimitRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.SetConcurrencyLimitResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getSetConcurrencyLimitMethod(), responseObserver);
    }

    /**
     * <pre>
     * Returns all concurrency limits.
     * </pre>
     */
    default void listConcurrencyLimits(io.github.runsvc.v1.ListConcurrencyLimitsRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.ListConcurrencyLimitsResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getListConcurrencyLimitsMethod(), responseObserver);
    }
  }

  /**
   * Base class for the server implementation of the service AdminService.
   * <pre>
   * Ends orphaned runs, removes runs and describes the server. Needs the admin role when authentication is on. Acts on
   * the runs of every owner, or of the one in the metadata entry `runsvc-owner`.
   * The errors are those of RunService.
   * </pre>
   */
  public static abstract class AdminServiceImplBase
      implements io.grpc.BindableService, AsyncService {

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return AdminServiceGrpc.bindService(this);
    }
  }

  /**
   * A stub to allow clients to do asynchronous rpc calls to service AdminService.
   * <pre>
   * Ends orphaned runs, removes runs and describes the server. Needs the admin role when authentication is on. Acts on
   * the runs of every owner, or of the one in the metadata entry `runsvc-owner`.
   * The errors are those of RunService.
   * </pre>
   */
  public static final class AdminServiceStub
      extends io.grpc.stub.AbstractAsyncStub<AdminServiceStub> {
    private AdminServiceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected AdminServiceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new AdminServiceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Ends active runs that no living executor holds: a run without a lease, or with an expired one, becomes ERROR with
     * reason ORPHANED, oldest first. PENDING runs are among them. Repeat the call while `more` is true; after that it
     * finds nothing. Watchers receive ordinary changes.
     * </pre>
     */
    public void reconcileOrphans(io.github.runsvc.v1.ReconcileOrphansRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.ReconcileOrphansResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getReconcileOrphansMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Removes a terminal run, its request id, and the payload of its log entries. INVALID_TRANSITION for an active run.
     * Also removes a run that cannot be read (CORRUPT_ROW). A late report for a removed run is RUN_NOT_FOUND and does not
     * restore it.
     * </pre>
     */
    public void delete(io.github.runsvc.v1.DeleteRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.DeleteResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getDeleteMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Returns the server's version, the identity of its store, and counts of runs and streams.
     * </pre>
     */
    public void getServerInfo(io.github.runsvc.v1.GetServerInfoRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.GetServerInfoResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getGetServerInfoMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Sets, changes or removes a concurrency limit. A wider limit makes waiting runs PENDING in the same transaction; a
     * narrower one ends no run. INVALID_REQUEST when the store already has 1,000 limits.
     * </pre>
     */
    public void setConcurrencyLimit(io.github.runsvc.v1.SetConcurrencyLimitRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.SetConcurrencyLimitResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getSetConcurrencyLimitMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Returns all concurrency limits.
     * </pre>
     */
    public void listConcurrencyLimits(io.github.runsvc.v1.ListConcurrencyLimitsRequest request,
        io.grpc.stub.StreamObserver<io.github.runsvc.v1.ListConcurrencyLimitsResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getListConcurrencyLimitsMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * A stub to allow clients to do synchronous rpc calls to service AdminService.
   * <pre>
   * Ends orphaned runs, removes runs and describes the server. Needs the admin role when authentication is on. Acts on
   * the runs of every owner, or of the one in the metadata entry `runsvc-owner`.
   * The errors are those of RunService.
   * </pre>
   */
  public static final class AdminServiceBlockingV2Stub
      extends io.grpc.stub.AbstractBlockingStub<AdminServiceBlockingV2Stub> {
    private AdminServiceBlockingV2Stub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected AdminServiceBlockingV2Stub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new AdminServiceBlockingV2Stub(channel, callOptions);
    }

    /**
     * <pre>
     * Ends active runs that no living executor holds: a run without a lease, or with an expired one, becomes ERROR with
     * reason ORPHANED, oldest first. PENDING runs are among them. Repeat the call while `more` is true; after that it
     * finds nothing. Watchers receive ordinary changes.
     * </pre>
     */
    public io.github.runsvc.v1.ReconcileOrphansResponse reconcileOrphans(io.github.runsvc.v1.ReconcileOrphansRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getReconcileOrphansMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Removes a terminal run, its request id, and the payload of its log entries. INVALID_TRANSITION for an active run.
     * Also removes a run that cannot be read (CORRUPT_ROW). A late report for a removed run is RUN_NOT_FOUND and does not
     * restore it.
     * </pre>
     */
    public io.github.runsvc.v1.DeleteResponse delete(io.github.runsvc.v1.DeleteRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getDeleteMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns the server's version, the identity of its store, and counts of runs and streams.
     * </pre>
     */
    public io.github.runsvc.v1.GetServerInfoResponse getServerInfo(io.github.runsvc.v1.GetServerInfoRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getGetServerInfoMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Sets, changes or removes a concurrency limit. A wider limit makes waiting runs PENDING in the same transaction; a
     * narrower one ends no run. INVALID_REQUEST when the store already has 1,000 limits.
     * </pre>
     */
    public io.github.runsvc.v1.SetConcurrencyLimitResponse setConcurrencyLimit(io.github.runsvc.v1.SetConcurrencyLimitRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getSetConcurrencyLimitMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns all concurrency limits.
     * </pre>
     */
    public io.github.runsvc.v1.ListConcurrencyLimitsResponse listConcurrencyLimits(io.github.runsvc.v1.ListConcurrencyLimitsRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getListConcurrencyLimitsMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do limited synchronous rpc calls to service AdminService.
   * <pre>
   * Ends orphaned runs, removes runs and describes the server. Needs the admin role when authentication is on. Acts on
   * the runs of every owner, or of the one in the metadata entry `runsvc-owner`.
   * The errors are those of RunService.
   * </pre>
   */
  public static final class AdminServiceBlockingStub
      extends io.grpc.stub.AbstractBlockingStub<AdminServiceBlockingStub> {
    private AdminServiceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected AdminServiceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new AdminServiceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Ends active runs that no living executor holds: a run without a lease, or with an expired one, becomes ERROR with
     * reason ORPHANED, oldest first. PENDING runs are among them. Repeat the call while `more` is true; after that it
     * finds nothing. Watchers receive ordinary changes.
     * </pre>
     */
    public io.github.runsvc.v1.ReconcileOrphansResponse reconcileOrphans(io.github.runsvc.v1.ReconcileOrphansRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getReconcileOrphansMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Removes a terminal run, its request id, and the payload of its log entries. INVALID_TRANSITION for an active run.
     * Also removes a run that cannot be read (CORRUPT_ROW). A late report for a removed run is RUN_NOT_FOUND and does not
     * restore it.
     * </pre>
     */
    public io.github.runsvc.v1.DeleteResponse delete(io.github.runsvc.v1.DeleteRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getDeleteMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns the server's version, the identity of its store, and counts of runs and streams.
     * </pre>
     */
    public io.github.runsvc.v1.GetServerInfoResponse getServerInfo(io.github.runsvc.v1.GetServerInfoRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getGetServerInfoMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Sets, changes or removes a concurrency limit. A wider limit makes waiting runs PENDING in the same transaction; a
     * narrower one ends no run. INVALID_REQUEST when the store already has 1,000 limits.
     * </pre>
     */
    public io.github.runsvc.v1.SetConcurrencyLimitResponse setConcurrencyLimit(io.github.runsvc.v1.SetConcurrencyLimitRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getSetConcurrencyLimitMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns all concurrency limits.
     * </pre>
     */
    public io.github.runsvc.v1.ListConcurrencyLimitsResponse listConcurrencyLimits(io.github.runsvc.v1.ListConcurrencyLimitsRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getListConcurrencyLimitsMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do ListenableFuture-style rpc calls to service AdminService.
   * <pre>
   * Ends orphaned runs, removes runs and describes the server. Needs the admin role when authentication is on. Acts on
   * the runs of every owner, or of the one in the metadata entry `runsvc-owner`.
   * The errors are those of RunService.
   * </pre>
   */
  public static final class AdminServiceFutureStub
      extends io.grpc.stub.AbstractFutureStub<AdminServiceFutureStub> {
    private AdminServiceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected AdminServiceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new AdminServiceFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Ends active runs that no living executor holds: a run without a lease, or with an expired one, becomes ERROR with
     * reason ORPHANED, oldest first. PENDING runs are among them. Repeat the call while `more` is true; after that it
     * finds nothing. Watchers receive ordinary changes.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.ReconcileOrphansResponse> reconcileOrphans(
        io.github.runsvc.v1.ReconcileOrphansRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getReconcileOrphansMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Removes a terminal run, its request id, and the payload of its log entries. INVALID_TRANSITION for an active run.
     * Also removes a run that cannot be read (CORRUPT_ROW). A late report for a removed run is RUN_NOT_FOUND and does not
     * restore it.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.DeleteResponse> delete(
        io.github.runsvc.v1.DeleteRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getDeleteMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Returns the server's version, the identity of its store, and counts of runs and streams.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.GetServerInfoResponse> getServerInfo(
        io.github.runsvc.v1.GetServerInfoRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getGetServerInfoMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Sets, changes or removes a concurrency limit. A wider limit makes waiting runs PENDING in the same transaction; a
     * narrower one ends no run. INVALID_REQUEST when the store already has 1,000 limits.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.SetConcurrencyLimitResponse> setConcurrencyLimit(
        io.github.runsvc.v1.SetConcurrencyLimitRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getSetConcurrencyLimitMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Returns all concurrency limits.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<io.github.runsvc.v1.ListConcurrencyLimitsResponse> listConcurrencyLimits(
        io.github.runsvc.v1.ListConcurrencyLimitsRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getListConcurrencyLimitsMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_RECONCILE_ORPHANS = 0;
  private static final int METHODID_DELETE = 1;
  private static final int METHODID_GET_SERVER_INFO = 2;
  private static final int METHODID_SET_CONCURRENCY_LIMIT = 3;
  private static final int METHODID_LIST_CONCURRENCY_LIMITS = 4;

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
        case METHODID_RECONCILE_ORPHANS:
          serviceImpl.reconcileOrphans((io.github.runsvc.v1.ReconcileOrphansRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.ReconcileOrphansResponse>) responseObserver);
          break;
        case METHODID_DELETE:
          serviceImpl.delete((io.github.runsvc.v1.DeleteRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.DeleteResponse>) responseObserver);
          break;
        case METHODID_GET_SERVER_INFO:
          serviceImpl.getServerInfo((io.github.runsvc.v1.GetServerInfoRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.GetServerInfoResponse>) responseObserver);
          break;
        case METHODID_SET_CONCURRENCY_LIMIT:
          serviceImpl.setConcurrencyLimit((io.github.runsvc.v1.SetConcurrencyLimitRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.SetConcurrencyLimitResponse>) responseObserver);
          break;
        case METHODID_LIST_CONCURRENCY_LIMITS:
          serviceImpl.listConcurrencyLimits((io.github.runsvc.v1.ListConcurrencyLimitsRequest) request,
              (io.grpc.stub.StreamObserver<io.github.runsvc.v1.ListConcurrencyLimitsResponse>) responseObserver);
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
          getReconcileOrphansMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.ReconcileOrphansRequest,
              io.github.runsvc.v1.ReconcileOrphansResponse>(
                service, METHODID_RECONCILE_ORPHANS)))
        .addMethod(
          getDeleteMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.DeleteRequest,
              io.github.runsvc.v1.DeleteResponse>(
                service, METHODID_DELETE)))
        .addMethod(
          getGetServerInfoMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.GetServerInfoRequest,
              io.github.runsvc.v1.GetServerInfoResponse>(
                service, METHODID_GET_SERVER_INFO)))
        .addMethod(
          getSetConcurrencyLimitMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.SetConcurrencyLimitRequest,
              io.github.runsvc.v1.SetConcurrencyLimitResponse>(
                service, METHODID_SET_CONCURRENCY_LIMIT)))
        .addMethod(
          getListConcurrencyLimitsMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              io.github.runsvc.v1.ListConcurrencyLimitsRequest,
              io.github.runsvc.v1.ListConcurrencyLimitsResponse>(
                service, METHODID_LIST_CONCURRENCY_LIMITS)))
        .build();
  }

  private static abstract class AdminServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    AdminServiceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return io.github.runsvc.v1.AdminServiceProto.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("AdminService");
    }
  }

  private static final class AdminServiceFileDescriptorSupplier
      extends AdminServiceBaseDescriptorSupplier {
    AdminServiceFileDescriptorSupplier() {}
  }

  private static final class AdminServiceMethodDescriptorSupplier
      extends AdminServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final java.lang.String methodName;

    AdminServiceMethodDescriptorSupplier(java.lang.String methodName) {
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
      synchronized (AdminServiceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new AdminServiceFileDescriptorSupplier())
              .addMethod(getReconcileOrphansMethod())
              .addMethod(getDeleteMethod())
              .addMethod(getGetServerInfoMethod())
              .addMethod(getSetConcurrencyLimitMethod())
              .addMethod(getListConcurrencyLimitsMethod())
              .build();
        }
      }
    }
    return result;
  }
}
