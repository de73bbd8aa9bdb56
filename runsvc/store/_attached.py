"""Attachments of the store in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from runsvc.store.attachments import Attach, Detach, Release, ReleaseOthers, Renew

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from runsvc.store.attachments import Abandoned, AttachmentChange


class Attached:
    """Every attachment, as it was added and changed since."""

    def __init__(self) -> None:
        self._all: list[Attach] = []

    def change(self, change: AttachmentChange) -> None:
        """Make a change."""
        match change:
            case Attach():
                self._all.append(change)
            case Release(attachment_id, expires_at):
                released = {"server": "", "expires_at": expires_at}
                self._update(lambda each: each.attachment_id == attachment_id, **released)
            case ReleaseOthers(server, expires_at):
                released = {"server": "", "expires_at": expires_at}
                self._update(lambda each: each.server != server, **released)
            case Renew(server, now, expires_at):
                self._update(lambda each: each.server == server, expires_at=expires_at)
                held = {each.run_id for each in self._all if each.server == server}
                self._remove(
                    lambda each: (
                        each.run_id in held and each.server != server and each.expires_at <= now
                    )
                )
            case Detach(run_id):
                self._remove(lambda each: each.run_id == run_id)

    def keep_to(self, run_ids: Collection[str]) -> None:
        """Those of runs that were removed go with them."""
        self._remove(lambda each: each.run_id not in run_ids)

    def abandoned(self, query: Abandoned) -> Sequence[str]:
        """Ids of abandoned runs, first ended first."""
        live = {
            each.run_id
            for each in self._all
            if each.expires_at > query.at or each.server == query.server
        }
        gone = sorted(self._all, key=lambda each: each.expires_at)
        run_ids = dict.fromkeys(each.run_id for each in gone if each.run_id not in live)
        return list(run_ids)[: query.limit]

    def any_released(self, server: str) -> bool:
        """Whether there are attachments that a server does not hold."""
        return any(each.server != server for each in self._all)

    def _update(self, matches: Callable[[Attach], bool], **changed: object) -> None:
        self._all = [
            replace(each, **changed) if matches(each) else each  # type: ignore[arg-type]
            for each in self._all
        ]

    def _remove(self, matches: Callable[[Attach], bool]) -> None:
        self._all = [each for each in self._all if not matches(each)]
