"""When garbage collection runs, so that no call waits long for it.

By default Python collects once the number of objects has grown by a threshold. A server whose caches are full frees one
old object for each new one. Then the number hardly grows, while the work of the next collection does, and every call
waits when it runs at last. So the server also collects after a fixed number of calls.
"""

from __future__ import annotations

import gc
from typing import Final

#: Calls between two collections of the youngest generation; one takes some 2 ms.
CALLS: Final = 500
#: Growth in objects that triggers a collection where no calls do, as in a broadcast. Events on their way to thousands
#: of watchers are not garbage; at 700, the default, collection takes half of the time of sending.
OBJECTS: Final = 50_000
#: Collections of one generation for each collection of the next: the caches and the recent log are hardly ever garbage.
MIDDLE_EVERY: Final = 1_000
OLD_EVERY: Final = 10


def start() -> None:
    """Apply the schedule. Objects that exist now are exempt: to visit them would delay calls by some 50 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS, MIDDLE_EVERY, OLD_EVERY)


def generation(collections: int) -> int:
    """The generation to collect at this collection: 0 for the youngest objects, 2 for all."""
    if collections % MIDDLE_EVERY:
        return 0
    return 1 if collections % (MIDDLE_EVERY * OLD_EVERY) else 2
