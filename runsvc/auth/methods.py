"""The methods of authentication that the settings of a server name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from runsvc.auth.authenticator import Authenticator
from runsvc.auth.token_file import TokenFile

if TYPE_CHECKING:
    from runsvc.auth.authenticator import PeerMethod, TokenMethod
    from runsvc.settings import Settings

Reload: TypeAlias = Callable[[], Awaitable[None]]


@dataclass
class Methods:
    """The methods that are on, and how each takes over changes of its files."""

    tokens: list[TokenMethod] = field(default_factory=list)
    peers: PeerMethod | None = None
    #: By the subject of their log lines.
    reloads: dict[str, Reload] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Methods:
        """Read the files that the settings name. FileRefused."""
        methods = cls()
        # JWT first: their form is known at a glance, and a token is compared with every hash.
        methods._add_jwt(settings)
        methods._add_tokens(settings)
        methods._add_certificates(settings)
        return methods

    def authenticator(self) -> Authenticator | None:
        """What finds the principal of a call; None if no method is on."""
        if not self.tokens and self.peers is None:
            return None
        return Authenticator(self.tokens, self.peers)

    def _add_jwt(self, settings: Settings) -> None:
        if not (settings.auth_jwks and settings.auth_issuer and settings.auth_audience):
            return
        # Imported here only: most servers need no cryptography.
        from runsvc.auth.json_web_tokens import Claims, JsonWebTokens
        from runsvc.auth.keys import Keys

        keys = Keys(settings.auth_jwks)
        claims = Claims(
            settings.auth_issuer,
            settings.auth_audience,
            settings.auth_owner_claim,
            settings.auth_roles_claim,
        )
        self.tokens.append(JsonWebTokens(keys, claims))
        self.reloads["Reload of the JWT keys"] = keys.reload

    def _add_tokens(self, settings: Settings) -> None:
        if settings.auth_tokens is not None:
            file = TokenFile(settings.auth_tokens)
            self.tokens.append(file)
            self.reloads["Reload of the token file"] = file.reload

    def _add_certificates(self, settings: Settings) -> None:
        if settings.auth_certs is not None:
            from runsvc.auth.certificate_file import CertificateFile

            file = CertificateFile(settings.auth_certs)
            self.peers = file
            self.reloads["Reload of the certificate file"] = file.reload
