"""Ports for servers that start again at the same address."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

#: Below the ports that systems give to connections and to listeners without a port of their own. Otherwise another
#: test could get the port of a server while it is down.
_PORTS = range(10_000, 32_768)


def free_port() -> int:
    """A port of 127.0.0.1 that is free and remains so."""
    while True:
        # Tests run in several processes, which must not choose the same ports in the same order.
        port = random.SystemRandom().choice(_PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
