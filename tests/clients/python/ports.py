"""Where a stack can listen on this machine."""

import contextlib
import socket


def free_port_base():
    """A base for `adplane dev --port-base` whose ports are free now; the stack checks again."""
    for base in range(17_400, 30_000, 100):
        with contextlib.ExitStack() as held:
            try:
                for port in range(base, base + 91):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
        return base
    raise RuntimeError("no free ports")
