/** The generated code: every message of runsvc.v1 with its schema, every enum, both services. */
export * from "./gen/runsvc/v1/admin_service_pb.js";
export * from "./gen/runsvc/v1/error_reason_pb.js";
export * from "./gen/runsvc/v1/run_pb.js";
export * from "./gen/runsvc/v1/run_service_pb.js";
