"""When the garbage collector looks, so that no call waits long for it.

Left alone, it looks when there are so many objects more than at its last look. A server that has its fill of runs at
hand lets go of an old one for each that comes. So that number hardly grows, while what has to be looked through does,
and when it looks at last, everyone waits. Therefore it also looks every so many calls.
"""

from __future__ import annotations

import gc
from typing import Final

#: Calls after which the objects that have come since the last look are looked through; that takes some 2 ms.
CALLS: Final = 500
#: Objects more than at the last look that bring the next one about, where no calls do: of a broadcast, say. What is on
#: its way to thousands of watchers is no garbage; at every 700, the default, it takes half of the time of sending.
OBJECTS: Final = 50_000
#: Looks after which older objects are looked through as well, and how often they are until all are: runs at hand and
#: the ring, hardly ever garbage.
LOOKS: Final = 1_000
OLDER_LOOKS: Final = 10


def start() -> None:
    """Begin to look as above. What is here now stays: to go through it would hold every call up for some 50 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS, LOOKS, OLDER_LOOKS)


def generation(calls: int) -> int:
    """How far to look once so many calls have come: 0 for what has come since the last look, 2 for everything."""
    if calls % (CALLS * LOOKS):
        return 0
    return 1 if calls % (CALLS * LOOKS * OLDER_LOOKS) else 2
