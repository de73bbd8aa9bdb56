"""Attachments of the memory store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from runsvc.store.attachments import (
    Attach,
    Detach,
    Extend,
    Register,
    Release,
    ReleaseOthers,
    Renew,
    Unregister,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from runsvc.store.attachments import Abandoned, AttachmentChange


class MemoryAttachments:
    """The current attachments, in the order in which they were added."""

    def __init__(self) -> None:
        self.all: list[Attach] = []
        #: When each registered server was seen last.
        self.servers: dict[str, datetime] = {}

    def change(self, change: AttachmentChange) -> None:
        """Apply a change."""
        match change:
            case Attach(attachment_id):
                self._remove(lambda each: each.attachment_id == attachment_id)
                self.all.append(change)
            case Release(attachment_id, expires_at):
                released = {"server": "", "expires_at": expires_at}
                self._update(lambda each: each.attachment_id == attachment_id, **released)
            case ReleaseOthers(server, expires_at):
                released = {"server": "", "expires_at": expires_at}
                self._update(lambda each: each.server != server, **released)
            case Renew(server, now, expires_at):
                self._update(lambda each: each.server == server, expires_at=expires_at)
                held = {each.run_id for each in self.all if each.server == server}
                self._remove(
                    lambda each: (
                        each.run_id in held and each.server != server and each.expires_at <= now
                    )
                )
            case Detach(run_id):
                self._remove(lambda each: each.run_id == run_id)
            case Register(server, at):
                self.servers[server] = at
            case Unregister(servers, expires_at):
                self.servers = {
                    each: at for each, at in self.servers.items() if each not in servers
                }
                released = {"server": "", "expires_at": expires_at}
                self._update(lambda each: each.server in servers, **released)
            case Extend(expires_at):
                self._update(lambda each: each.expires_at < expires_at, expires_at=expires_at)

    def keep_only(self, run_ids: Collection[str]) -> None:
        """Remove the attachments of all other runs."""
        self._remove(lambda each: each.run_id not in run_ids)

    def abandoned(self, query: Abandoned) -> Sequence[str]:
        """Ids of the abandoned runs."""
        live = {
            each.run_id
            for each in self.all
            if each.expires_at > query.at or self._is_held(each, query.server)
        }
        by_expiry = sorted(self.all, key=lambda each: each.expires_at)
        run_ids = dict.fromkeys(each.run_id for each in by_expiry if each.run_id not in live)
        return list(run_ids)[: query.limit]

    def any_released(self, server: str) -> bool:
        """True if there are attachments that neither this server nor a registered one holds."""
        return not all(self._is_held(each, server) for each in self.all)

    def _is_held(self, attachment: Attach, server: str) -> bool:
        return attachment.server == server or attachment.server in self.servers

    def _update(self, matches: Callable[[Attach], bool], **changed: object) -> None:
        self.all = [
            replace(each, **changed) if matches(each) else each  # type: ignore[arg-type]
            for each in self.all
        ]

    def _remove(self, matches: Callable[[Attach], bool]) -> None:
        self.all = [each for each in self.all if not matches(each)]
