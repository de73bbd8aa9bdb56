/**
 * The generated code of runsvc.v1: messages with their schemas, enums, and services.
 *
 * @module
 */
export * from "./gen/runsvc/v1/admin_service_pb.js";
export * from "./gen/runsvc/v1/error_reason_pb.js";
export * from "./gen/runsvc/v1/run_pb.js";
export * from "./gen/runsvc/v1/run_service_pb.js";
