"""`runsvc claim` and `runsvc release`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_pb2 import Run

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Cli


def test_claim_asks_for_runs(cli: Cli) -> None:
    cli.script.will("Claim", pb.ClaimResponse(runs=[Run(run_id="r1", attempt=1)]))
    result = cli(
        *("claim", "a", "b", "--worker", "w1", "--max-runs", "3", "--lease-ttl", "7s"),
        *("--wait", "2s", "--request-id", "once", "--json"),
    )
    assert [run["run_id"] for run in json.loads(result.stdout)["runs"]] == ["r1"]
    request = cli.last_request
    assert (request.worker_id, list(request.assistant_ids)) == ("w1", ["a", "b"])
    assert (request.max_runs, request.request_id, request.any_assistant) == (3, "once", False)
    assert (request.lease_ttl.seconds, request.wait.seconds) == (7, 2)
    # The deadline leaves the server time to answer after the wait.
    assert 10 < cli.script.time_left[-1] <= 12


def test_claim_without_a_run(cli: Cli) -> None:
    cli.script.will("Claim", pb.ClaimResponse())
    assert "No run came." in cli("claim", "--any", "--worker", "w1").stdout
    assert cli.last_request.any_assistant


def test_release_gives_a_run_back(cli: Cli) -> None:
    cli.script.will("Release", pb.ReleaseResponse(run=Run(run_id="r1")))
    result = cli("release", "r1", "--worker", "w1", "--attempt", "2")
    assert "Run r1 was released." in result.stdout
    request = cli.last_request
    assert (request.run_id, request.worker_id, request.attempt) == ("r1", "w1", 2)
