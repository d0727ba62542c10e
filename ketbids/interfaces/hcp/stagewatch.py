"""End the processes of a stage when the process that started it is gone.

Run as a program, with the number of their process group; it reads standard input, whose other end
the starting process holds. Whatever that one dies of, the end of the input is seen.
"""

import os
import signal
import sys
import time
from contextlib import suppress


def watch(group: int, *, grace: float = 5.0) -> None:
    """Wait for a byte (all is well) or for the end of standard input (end the group)."""
    if os.read(0, 1):
        return
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        end = time.monotonic() + grace
        while time.monotonic() < end:
            time.sleep(0.1)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


if __name__ == '__main__':
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    watch(int(sys.argv[1]))
