"""Where runs and their history are kept: the contract (base) and the engines that fulfil it."""

from __future__ import annotations
