"""The settings of a server, with every default in one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from runsvc.database_url import DatabaseUrl

#: Error text of failed orphans.
ORPHAN_ERROR: Final = "No executor was left to finish this run."
#: The longest time that runs and log entries can be kept.
LONGEST: Final = timedelta(days=36_500)
#: The longest grace period, and the longest pause between two compactions, in seconds: one day.
LONGEST_WAIT: Final = 86_400

_KEEPING: Final = ("log_keep_age", "retain_runs")
_WAITS: Final = ("attach_grace", "reconnect_grace", "grace", "stop_grace")
_COUNTS: Final = (
    "log_keep",
    "max_active_per_thread",
    "max_queued_per_thread",
    "max_active_per_owner",
    "max_calls",
    "max_rate_per_owner",
    "max_watches_per_owner",
)
#: Settings, and the one that each needs.
_TOGETHER: Final = (
    ("tls_cert", "tls_key"),
    ("tls_key", "tls_cert"),
    ("tls_client_ca", "tls_cert"),
    ("auth_certs", "tls_client_ca"),
    ("auth_jwks", "auth_issuer"),
    ("auth_jwks", "auth_audience"),
    ("auth_issuer", "auth_jwks"),
    ("auth_audience", "auth_jwks"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a server. Raise ValueError for one that is out of range."""

    #: Addresses to listen on, with commas between them, as HOST:PORT or unix:PATH; port 0 picks a free one.
    listen: str = "127.0.0.1:50051"
    #: The file of the SQLite store, or the URL of the PostgreSQL database.
    db: Path | DatabaseUrl = Path("runsvc.db")
    #: Refuse a database whose schema is older than this program, instead of migrating it.
    no_migrate: bool = False
    #: Treatment at start of active runs without a live lease: "keep" or "fail".
    orphans: str = "keep"
    #: Error text of failed orphans, at start and in ReconcileOrphans.
    orphan_error: str = ORPHAN_ERROR
    #: Number of log entries kept for watchers to resume from.
    log_keep: int = 100_000
    #: Age at which log entries are dropped; None keeps them up to `log_keep`.
    log_keep_age: timedelta | None = None
    #: Time after their end at which runs are removed; None keeps them for ever.
    retain_runs: timedelta | None = None
    #: Most active runs of one thread; Create refuses further ones.
    max_active_per_thread: int = 1_000
    #: Most active and queued runs of one owner; creations beyond them are refused. None for no limit.
    max_active_per_owner: int | None = None
    #: Most calls under way, watches aside; further ones are refused. None for no limit.
    max_calls: int | None = None
    #: Most calls per second, and most watches, of one owner. None for no limit.
    max_rate_per_owner: int | None = None
    max_watches_per_owner: int | None = None
    #: Most queued runs of one thread; creations refuse further ones.
    max_queued_per_thread: int = 100
    #: Seconds after a cancel in which the executor of a run without a lease counts as still at work.
    stop_grace: float = 60.0
    #: Seconds that the last attached client of a run has to return before the run is cancelled.
    attach_grace: float = 5.0
    #: Seconds that it has if the server ended or lost its stream; at least `attach_grace`. Not an option of `serve`.
    reconnect_grace: float = 60.0
    #: Seconds between two compactions of the change log. Not an option of `serve`.
    compaction_interval: float = 10.0
    #: Learn of the changes of other servers of the store by polling its log alone, without LISTEN and NOTIFY.
    poll_only: bool = False
    #: Allow an address that other machines can reach, although nothing is encrypted.
    insecure_listen: bool = False
    #: The certificate of the server, with intermediate ones behind it, and its key, in PEM. None disables TLS.
    tls_cert: Path | None = None
    tls_key: Path | None = None
    #: The authorities of clients' certificates, in PEM. Every client then needs one.
    tls_client_ca: Path | None = None
    #: The file of bearer tokens.
    auth_tokens: Path | None = None
    #: The file of clients' certificates.
    auth_certs: Path | None = None
    #: The keys of JWT: a file, or an https URL. With issuer and audience, which a token must name.
    auth_jwks: str | None = None
    auth_issuer: str | None = None
    auth_audience: str | None = None
    #: The claims of owner and roles; a dot leads into an object.
    auth_owner_claim: str = "sub"
    auth_roles_claim: str = "roles"
    #: Offer no reflection.
    no_reflection: bool = False
    #: Seconds that calls in flight have to end at shutdown.
    grace: float = 10.0

    def __post_init__(self) -> None:
        for name in _KEEPING:
            length = getattr(self, name)
            if length is not None and not timedelta(0) <= length <= LONGEST:
                raise ValueError(f"{name} must be 0 to {LONGEST.days} days")
        for name in _WAITS:
            # NaN fails every comparison.
            if not 0 <= getattr(self, name) <= LONGEST_WAIT:
                raise ValueError(f"{name} must be 0 to {LONGEST_WAIT} seconds")
        if not 0 < self.compaction_interval <= LONGEST_WAIT:
            raise ValueError(f"compaction_interval must be above 0, at most {LONGEST_WAIT} seconds")
        for name in _COUNTS:
            count = getattr(self, name)
            if count is not None and count < 1:
                raise ValueError(f"{name} must be at least 1")
        for name, needed in _TOGETHER:
            if getattr(self, name) and not getattr(self, needed):
                raise ValueError(f"{_option(name)} needs {_option(needed)}")
        if self.no_migrate and not isinstance(self.db, DatabaseUrl):
            raise ValueError("--no-migrate needs a database: --db postgresql://…")
        if self.orphans not in ("keep", "fail"):
            raise ValueError('orphans must be "keep" or "fail"')


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
