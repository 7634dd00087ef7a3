"""Free ports, chosen where the kernel doesn't choose its own: a client's socket can't take one meanwhile."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

from strangler.errors import StranglerError

# Below the ephemeral range (from 32768 on Linux): a port must still be free when its process comes up again.
RANGE = range(20_000, 30_000)


class PortTaken(StranglerError):
    """Somebody listens on the port that was asked for."""


def is_free(port: int) -> bool:
    """Whether nobody listens on a loopback port now."""
    with socket.socket() as listener:
        return _bind(listener, port)


def free_ports(count: int) -> list[int]:
    """That many different ports that nobody listens on."""
    ports: list[int] = []
    with ExitStack() as held:
        for port in random.sample(RANGE, len(RANGE)):  # nosec B311 # no secret
            if len(ports) == count:
                break
            if _bind(held.enter_context(socket.socket()), port):
                ports.append(port)
    if len(ports) < count:
        raise PortTaken(
            f"No {count} ports are free between {RANGE.start} and {RANGE.stop}. Nothing was started."
        )
    return ports


def demand(port: int) -> int:
    """The port itself if it is free; PortTaken otherwise."""
    if not is_free(port):
        raise PortTaken(
            f"Port {port} is taken by another program. Nothing was started. Stop that program "
            f"(`ss -ltnp 'sport = :{port}'` names it), or pass another --port."
        )
    return port


def _bind(listener: socket.socket, port: int) -> bool:
    # Connections that a listener left in TIME_WAIT don't make a port taken.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(1)
    except OSError:
        return False
    return True
