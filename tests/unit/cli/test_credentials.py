"""The options for TLS and tokens, of every command that calls a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
import trustme

from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_pb2 import Run
from tests.support.scripted import Refusal, scripted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Cli


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "my.token"
    file.write_text("mine\n")
    return file


def sent(cli: Cli) -> list[str | None]:
    return [each.get("authorization") for each in cli.script.metadata]


def test_the_token_is_that_of_the_option_else_of_the_environment(cli: Cli, token: Path) -> None:
    cli.script.will("Get", *[pb.GetResponse(run=Run(run_id="r1"))] * 4)
    cli("get", "r1", "--token-file", str(token), env={"RUNSVC_TOKEN": "other"})
    cli("get", "r1", env={"RUNSVC_TOKEN_FILE": str(token)})
    cli("get", "r1", env={"RUNSVC_TOKEN_FILE": str(token), "RUNSVC_TOKEN": "value"})
    cli("get", "r1")
    assert sent(cli) == ["Bearer mine", "Bearer mine", "Bearer value", None]


def test_a_refused_token_is_explained_and_the_command_repeats_its_options(
    cli: Cli, token: Path
) -> None:
    refusal = Refusal(grpc.StatusCode.UNAUTHENTICATED, "no", "UNAUTHENTICATED")
    cli.script.will("Get", refusal)
    result = cli("get", "r1", "--token-file", str(token))
    assert result.exit_code == 1
    assert "Hint: Send a token with --token-file FILE or RUNSVC_TOKEN" in result.stderr
    # The file still holds the refused token.
    assert sent(cli) == ["Bearer mine"]
    busy = Refusal(
        grpc.StatusCode.ABORTED, "busy", "THREAD_BUSY", {"run_id": "r9", "thread_id": "t"}
    )
    cli.script.will("CreateOrReject", busy)
    result = cli("create", "t", "--token-file", str(token))
    assert f"cancel r9 --target {cli.target} --token-file {token}" in result.stderr
    assert result.stderr.count("--token-file") == 2


def test_files_that_cannot_be_used_are_named(cli: Cli, tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    for option in ("--token-file", "--ca"):
        result = cli("get", "r1", option, missing)
        assert f"Error: Cannot read {missing}: No such file" in result.stderr
    result = cli("get", "r1", "--cert", "x.pem")
    assert "Cannot read x.pem" in result.stderr
    empty = tmp_path / "empty"
    empty.touch()
    result = cli("get", "r1", "--token-file", str(empty))
    assert "must hold one bearer token" in result.stderr
    result = cli("get", "r1", "--key", str(empty))
    assert (
        "tls_cert (RUNSVC_TLS_CERT) and tls_key (RUNSVC_TLS_KEY) need each other" in result.stderr
    )
    result = cli("get", "r1", "--key", str(empty), "--cert", str(empty))
    assert "needs tls_ca" in result.stderr


def test_a_client_certificate_is_sent(cli: Cli, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued, mine = authority.issue_cert("127.0.0.1"), authority.issue_cert("me")
    chain = b"".join(each.bytes() for each in issued.cert_chain_pems)
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "me.pem", "me.key"))
    authority.cert_pem.write_to_path(str(ca))
    mine.private_key_pem.write_to_path(str(key))
    mine.cert_chain_pems[0].write_to_path(str(cert))
    credentials = grpc.ssl_server_credentials(
        [(issued.private_key_pem.bytes(), chain)], authority.cert_pem.bytes(), True
    )
    cli.script.will("Get", pb.GetResponse(run=Run(run_id="r1")))
    with scripted(cli.script, credentials) as target:
        options = ("--target", target, "--ca", str(ca))
        assert cli("get", "r1", *options).exit_code == 5
        result = cli("get", "r1", *options, "--cert", str(cert), "--key", str(key))
    assert result.exit_code == 0
