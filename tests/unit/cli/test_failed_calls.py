"""Failed calls: messages, hints, JSON and exit codes."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import grpc
import pytest
import trustme
from google.protobuf.timestamp_pb2 import Timestamp

from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_pb2 import Progress, Run
from tests.support.scripted import Refusal, scripted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Cli


RUN = Run(
    run_id="r1",
    thread_id="chat-1",
    status="RUN_STATUS_RUNNING",
    revision=7,
    created_at=Timestamp(seconds=1),
    updated_at=Timestamp(seconds=61),
    progress=Progress(total_tokens=1_200),
)


@pytest.mark.parametrize("given", ["abc", "nan"])
def test_invalid_seconds_are_a_usage_error(cli: Cli, given: str) -> None:
    result = cli("get", "r1", "--timeout", given)
    assert result.exit_code == 2
    assert f"'{given}' is not a duration. Write it as 90, 90s, 1h30m or 30d." in result.stderr


BUSY = Refusal(grpc.StatusCode.ABORTED, "Thread chat-1 is busy.", "THREAD_BUSY", {"run_id": "r1"})


def test_busy_thread_comes_with_hints(cli: Cli) -> None:
    cli.script.will("CreateOrReject", BUSY)
    result = cli("create", "chat-1")
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.splitlines() == [
        "Error: Thread chat-1 is busy.",
        f"Hint: Cancel the active run first: runsvc cancel r1 --target {cli.target}",
        f"Hint: Or displace it: runsvc create chat-1 --strategy interrupt --target {cli.target}",
    ]


def test_errors_are_json_with_json_option(cli: Cli) -> None:
    cli.script.will("CreateOrReject", BUSY)
    result = cli("create", "chat-1", "--json")
    error = json.loads(result.stderr)
    assert (result.exit_code, result.stdout) == (4, "")
    assert (error["code"], error["reason"], error["exit_code"]) == ("ABORTED", "THREAD_BUSY", 4)
    assert error["metadata"] == {"run_id": "r1"}


@pytest.mark.parametrize(
    ("violations", "lines"),
    [
        ([("thread_id", "is required")], ["The request is invalid: THREAD_ID is required."]),
        (
            [("thread_id", "is required"), ("", "and 9 more")],
            ["The request is invalid:", "  THREAD_ID is required", "  and 9 more"],
        ),
        (
            [("timeout", "is negative")],
            ["The request is invalid: thread_id is required.", "  --run-timeout is negative"],
        ),
    ],
)
def test_every_violation_is_shown_once(
    cli: Cli, violations: list[tuple[str, str]], lines: list[str]
) -> None:
    message = "The request is invalid: thread_id is required."
    code = grpc.StatusCode.INVALID_ARGUMENT
    refusal = Refusal(code, message, "INVALID_REQUEST", violations=tuple(violations))
    cli.script.will("CreateOrReject", refusal)
    result = cli("create", "chat-1")
    assert result.exit_code == 2
    assert result.stderr.removeprefix("Error: ").splitlines() == lines


@pytest.mark.parametrize(
    ("target", "advice"),
    [
        ("127.0.0.1:1", " Start one with: runsvc serve --listen 127.0.0.1:1"),
        ("[::1]:1", " Start one with: runsvc serve --listen '[::1]:1'"),
        ("nowhere.invalid:1", " The host name cannot be resolved."),
    ],
)
def test_missing_server(cli: Cli, target: str, advice: str) -> None:
    result = cli("get", "r1", "--target", target)
    assert result.exit_code == 5
    assert result.stderr.splitlines() == [
        f"Error: No runsvc server answers at {target}.{advice}",
        "Hint: If the server has another address, set --target HOST:PORT or RUNSVC_TARGET",
    ]


@pytest.mark.parametrize(
    "target", ["localhost", "127.0.0.1", "http://127.0.0.1:1", "127.0.0.1:99999", "127.0.0.1:0"]
)
def test_invalid_address_comes_with_a_hint(cli: Cli, target: str) -> None:
    result = cli("get", "r1", "--target", target)
    assert result.exit_code == 5
    assert result.stderr.splitlines() == [
        f"Error: No runsvc server answers at {target}.",
        "Hint: Write the address as HOST:PORT, such as 127.0.0.1:50051",
    ]


def test_tls_to_a_server_without_tls(cli: Cli, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificates = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(certificates))
    result = cli("get", "r1", env={"RUNSVC_TLS_CA": str(certificates)})
    assert result.exit_code == 5
    assert result.stderr.splitlines() == [
        f"Error: No runsvc server answers at {cli.target}. "
        "The server does not use TLS, which --ca (RUNSVC_TLS_CA) enables.",
        "Hint: If the server has another address, set --target HOST:PORT or RUNSVC_TARGET",
        "Hint: --ca (RUNSVC_TLS_CA) enables TLS. Omit it if the server does not use TLS",
    ]


def served_with(authority: trustme.CA, name: str) -> grpc.ServerCredentials:
    certificate = authority.issue_cert(name)
    chain = b"".join(each.bytes() for each in certificate.cert_chain_pems)
    return grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)])


@pytest.mark.parametrize(
    ("name", "trusted", "cause"),
    [
        ("127.0.0.1", None, "The connection was closed at once: the server may use TLS, or need"),
        (
            "127.0.0.1",
            False,
            "--ca (RUNSVC_TLS_CA) does not hold the authority of its certificate.",
        ),
        ("example.com", True, "Its certificate is for another host name."),
    ],
)
def test_tls_failure_names_its_cause(
    cli: Cli, tmp_path: Path, name: str, trusted: bool | None, cause: str
) -> None:
    authority = trustme.CA()
    file = tmp_path / "ca.pem"
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(str(file))
    env = {} if trusted is None else {"RUNSVC_TLS_CA": str(file)}
    with scripted(cli.script, served_with(authority, name)) as target:
        result = cli("get", "r1", "--target", target, env=env)
    assert result.exit_code == 5
    assert result.stderr.startswith(f"Error: No runsvc server answers at {target}. {cause}")
    assert "Start one with" not in result.stderr


def test_authority_of_the_same_name_is_not_the_authority(cli: Cli, tmp_path: Path) -> None:
    """As of another folder of dev-certs."""
    for name in ("a", "b"):
        assert cli("dev-certs", str(tmp_path / name)).exit_code == 0
    pair = [(tmp_path / "a" / f"server.{kind}").read_bytes() for kind in ("key", "pem")]
    credentials = grpc.ssl_server_credentials([(pair[0], pair[1])])
    with scripted(cli.script, credentials) as target:
        trusted = ("--ca", str(tmp_path / "b" / "ca.pem"))
        result = cli("get", "r1", "--target", target, *trusted)
    assert "--ca (RUNSVC_TLS_CA) does not hold the authority of its certificate." in result.stderr


def test_file_without_certificates_is_a_usage_error(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "hostname"
    file.write_text("host-1\n")
    result = cli("get", "r1", env={"RUNSVC_TLS_CA": str(file)})
    assert result.exit_code == 2
    assert "tls_ca (RUNSVC_TLS_CA) holds no certificate in PEM" in result.stderr


@pytest.mark.parametrize(
    ("request_id", "hints"),
    [
        (
            (),
            [
                "Hint: The outcome is unknown: the run may have been created. See: runsvc list chat-1 --target {0}",
                "Hint: To make a creation safe to repeat, name it: "
                "runsvc create chat-1 --timeout 50ms --request-id ID --target {0}",
            ],
        ),
        (
            ("--request-id", "q"),
            ["Hint: The outcome is unknown. Repeat the command with the same --request-id"],
        ),
    ],
)
def test_creation_that_timed_out_has_an_unknown_outcome(
    cli: Cli, request_id: tuple[str, ...], hints: list[str]
) -> None:
    answered = threading.Event()
    cli.script.will("CreateOrReject", lambda: answered.wait(20))
    result = cli("create", "chat-1", "--timeout", "0.05", *request_id)
    answered.set()
    assert result.exit_code == 5
    assert result.stderr.splitlines()[1:] == [
        each.format(cli.target).replace("50ms", "0.05") for each in hints
    ]


def test_report_that_timed_out_has_an_unknown_outcome(cli: Cli) -> None:
    cli.script.will("Cancel", Refusal(grpc.StatusCode.INTERNAL, "no"))
    result = cli("cancel", "r1")
    assert "Hint: The outcome is unknown: the command may have taken effect." in result.stderr
    cli.script.will("Get", Refusal(grpc.StatusCode.INTERNAL, "no"))
    assert "outcome" not in cli("get", "r1").stderr


def test_request_id_is_shown(cli: Cli) -> None:
    cli.script.will("Get", *[Refusal(grpc.StatusCode.NOT_FOUND, "No.", request_id="q7")] * 2)
    assert cli("get", "r1").stderr.splitlines() == ["Error: No.", "Request id: q7"]
    assert json.loads(cli("get", "r1", "--json").stderr)["request_id"] == "q7"


@pytest.mark.parametrize(
    ("command", "field", "name"),
    [
        (("create", "chat-1"), "spec.thread_id", "THREAD_ID"),
        (("create", "chat-1"), "spec.timeout", "--run-timeout"),
        (("create", "chat-1"), "spec.multitask_strategy", "--strategy"),
        (("create", "chat-1"), "spec.kwargs", "--kwargs"),
        (("create", "chat-1"), "other.field", "other.field"),
    ],
)
def test_invalid_field_is_named_as_it_was_typed(
    cli: Cli, command: tuple[str, ...], field: str, name: str
) -> None:
    message = f"The request is invalid: {field} is wrong."
    violations = ((field, "is wrong"),)
    refusal = Refusal(
        grpc.StatusCode.INVALID_ARGUMENT, message, "INVALID_REQUEST", violations=violations
    )
    cli.script.will("CreateOrReject", refusal)
    result = cli(*command)
    assert result.stderr == f"Error: The request is invalid: {name} is wrong.\n"


def test_unreadable_certificates(cli: Cli) -> None:
    result = cli("get", "r1", env={"RUNSVC_TLS_CA": "/nowhere"})
    assert result.stderr == ("Error: Cannot read /nowhere: No such file or directory\n")


def test_token_is_read_from_the_environment(cli: Cli) -> None:
    cli.script.will("Get", pb.GetResponse(run=RUN))
    cli("get", "r1", env={"RUNSVC_TOKEN": "secret"})
    assert cli.script.metadata[0]["authorization"] == "Bearer secret"


def test_invalid_timeout_is_a_usage_error_of_watch_too(cli: Cli) -> None:
    result = cli("watch", "r1", env={"RUNSVC_TIMEOUT": "soon"})
    assert (result.exit_code, "RUNSVC_TIMEOUT is 'soon'" in result.stderr) == (2, True)
