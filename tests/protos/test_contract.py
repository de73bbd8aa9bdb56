"""The wire contract: names, numbers and types of the protos.

contract.txt records all of them, so that a change fails the test. After an intended change, update it:
python tests/protos/test_contract.py
"""

from __future__ import annotations

import re
from dataclasses import fields
from difflib import unified_diff
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import (
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodOptions,
)

from runsvc.core import model
from runsvc.rpc.status import TABLE
from runsvc.v1 import admin_service_pb2, error_reason_pb2, run_pb2, run_service_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor_pb2 import DescriptorProto, MethodDescriptorProto

CONTRACT = Path(__file__).with_name("contract.txt")
ERROR_REASONS = Path(__file__).parents[2] / "protos/runsvc/v1/error_reason.proto"

RPCS = {
    "RunService": "Create CreateOrReject Get ListByThread HasInflight SetStatus Complete UpdateProgress"
    " UpdateModelName UpdateMetadata Heartbeat Cancel AcknowledgeCancel StreamStatus Claim Release",
    "AdminService": "ReconcileOrphans Delete GetServerInfo SetConcurrencyLimit ListConcurrencyLimits",
}
#: Fields that most watch messages carry: their tags are to take one byte.
WATCHED = (
    "run_id thread_id status status_reason revision assistant_id created_at updated_at started_at ended_at"
    " progress metadata worker_id on_disconnect multitask_strategy"
)


def proto_of(module: Any) -> FileDescriptorProto:
    proto = FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(proto)
    return proto


FILES = [
    proto_of(module) for module in (run_pb2, run_service_pb2, admin_service_pb2, error_reason_pb2)
]
SERVICES = {service.name: service for file in FILES for service in file.service}
MESSAGES = {message.name: message for file in FILES for message in file.message_type}
ENUMS = {enum.name: enum for file in FILES for enum in file.enum_type}
MODEL_ENUMS = {
    name: value
    for name, value in vars(model).items()
    if isinstance(value, type) and issubclass(value, IntEnum) and value is not IntEnum
}


def contract() -> str:
    """Everything that clients depend on, one item per line."""
    return "".join(f"{line}\n" for line in contract_lines())


def contract_lines() -> Iterator[str]:
    for service in SERVICES.values():
        yield f"service {service.name}"
        yield from (f"  {method_line(method)}" for method in service.method)
    for message in MESSAGES.values():
        yield f"message {message.name}"
        yield from (f"  {field_line(message, field)}" for field in message.field)
        yield from (f"  reserved {gap.start} to {gap.end - 1}" for gap in message.reserved_range)
    for enum in ENUMS.values():
        yield f"enum {enum.name}"
        yield from (f"  {value.number} {value.name}" for value in enum.value)
        yield from (f"  reserved {gap.start} to {gap.end}" for gap in enum.reserved_range)


def method_line(method: MethodDescriptorProto) -> str:
    stream = "stream " if method.server_streaming else ""
    level = MethodOptions.IdempotencyLevel.Name(method.options.idempotency_level)
    request, response = short(method.input_type), short(method.output_type)
    return f"{method.name}({request}) returns ({stream}{response}) {level}"


def field_line(message: DescriptorProto, field: FieldDescriptorProto) -> str:
    label = ""
    if field.proto3_optional:
        label = "optional "
    elif field.HasField("oneof_index"):
        label = f"oneof {message.oneof_decl[field.oneof_index].name} "
    elif field.label == FieldDescriptorProto.LABEL_REPEATED:
        label = "repeated "
    plain = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    return f"{field.number} {field.name}: {label}{short(field.type_name) or plain}"


def short(type_name: str) -> str:
    return type_name.removeprefix(".").removeprefix("runsvc.v1.")


def numbers(enum: EnumDescriptorProto) -> dict[str, int]:
    """The numbers of an enum's values, by name without the enum's prefix."""
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
    assert all(value.name.startswith(prefix) for value in enum.value)
    return {value.name.removeprefix(prefix): value.number for value in enum.value}


def field_numbers(message: str) -> dict[str, int]:
    return {field.name: field.number for field in MESSAGES[message].field}


def test_the_wire_matches_the_recorded_contract() -> None:
    known = CONTRACT.read_text(encoding="utf-8").splitlines()
    diff = unified_diff(known, contract().splitlines(), "contract.txt", "protos", lineterm="", n=40)
    difference = "\n".join(diff)
    assert not difference, f"The wire changed:\n{difference}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_protos_import_only_well_known_types_and_each_other(file: FileDescriptorProto) -> None:
    assert file.package == "runsvc.v1"
    assert all(name.startswith(("google/protobuf/", "runsvc/v1/")) for name in file.dependency)


@pytest.mark.parametrize("service", RPCS)
def test_every_rpc_has_a_request_and_a_response_of_its_own(service: str) -> None:
    methods = SERVICES[service].method
    assert [method.name for method in methods] == RPCS[service].split()
    for method in methods:
        assert short(method.input_type) == f"{method.name}Request"
        assert short(method.output_type) == f"{method.name}Response"


def test_only_stream_status_streams() -> None:
    assert not any(method.client_streaming for s in SERVICES.values() for method in s.method)
    streaming = [m.name for s in SERVICES.values() for m in s.method if m.server_streaming]
    assert streaming == ["StreamStatus"]


def test_frequent_fields_of_watch_messages_have_one_byte_tags() -> None:
    run = field_numbers("Run")
    assert {name for name, number in run.items() if number <= 15} == set(WATCHED.split())
    assert max(field_numbers("StreamStatusResponse").values()) <= 15
    assert max(field_numbers("Progress").values()) <= 15


@pytest.mark.parametrize("enum", ENUMS.values(), ids=ENUMS)
def test_every_enum_starts_with_unspecified(enum: EnumDescriptorProto) -> None:
    assert numbers(enum)["UNSPECIFIED"] == 0
    assert len(set(numbers(enum).values())) == len(enum.value)


def test_every_enum_of_run_proto_is_in_the_model() -> None:
    """All but StatusEvent, which the model does not use."""
    assert {enum.name for enum in FILES[0].enum_type} == {*MODEL_ENUMS, "StatusEvent"}


@pytest.mark.parametrize("name", MODEL_ENUMS)
def test_enums_of_the_model_have_the_numbers_of_the_protos(name: str) -> None:
    """Only StatusReason has a member UNSPECIFIED, since no other enum stores it."""
    members = {member.name: member.value for member in MODEL_ENUMS[name]}
    assert {"UNSPECIFIED": 0} | members == numbers(ENUMS[name])
    assert ("UNSPECIFIED" in members) == (name == "StatusReason")


@pytest.mark.parametrize(
    ("kind", "unsent", "unmodelled"),
    [
        (model.Run, {"progress_sequence", "turn", "claim_id"}, {"kwargs", "queue", "result"}),
        (model.Progress, set(), set()),
        (model.ModelUsage, set(), set()),
        (model.Lease, set(), set()),
        (model.Cancellation, set(), set()),
        (model.Retry, set(), set()),
    ],
)
def test_the_model_has_the_fields_of_the_protos(
    kind: Any, unsent: set[str], unmodelled: set[str]
) -> None:
    modelled = {field.name for field in fields(kind)}
    assert modelled - unsent == field_numbers(kind.__name__).keys() - unmodelled


def reason_comments() -> dict[str, str]:
    pattern = re.compile(r"((?:^ *//.*\n)+) *ERROR_REASON_(\w+) = \d+;", re.MULTILINE)
    text = ERROR_REASONS.read_text(encoding="utf-8")
    return {name: re.sub(r"\s*//\s*", " ", lines).strip() for lines, name in pattern.findall(text)}


def test_every_reason_is_documented_with_its_status_code() -> None:
    comments = reason_comments()
    assert comments.keys() == numbers(ENUMS["ErrorReason"]).keys()
    assert comments.pop("UNSPECIFIED") == "Never sent."
    documented = {name: comment.partition(". ")[0] for name, comment in comments.items()}
    assert set(documented.values()) <= set(grpc.StatusCode.__members__)
    served = {
        error_reason_pb2.ErrorReason.Name(mapped.reason).removeprefix("ERROR_REASON_"): mapped.code
        for mapped in TABLE.values()
    }
    assert {name: documented[name] for name in served} == {
        name: code.name for name, code in served.items()
    }


if __name__ == "__main__":
    CONTRACT.write_text(contract(), encoding="utf-8")
