"""A server from its start to its end: open models, listen, warm up, answer, and stop without losing an answer."""

import gc
import resource
import socket
import sys
from collections.abc import Sequence
from functools import partial
from types import FrameType

import uvicorn

from modernbert.core.errors import UserError
from modernbert.core.log import say
from modernbert.serve.app import application
from modernbert.serve.config import Settings
from modernbert.serve.connection import Connection
from modernbert.serve.models import Models
from modernbert.serve.watch import Refusals

_KEEP_ALIVE = 75
"""Seconds that a connection may rest: longer than a proxy's own, so that it is never closed under a request."""

_BACKLOG = 2048
"""Connections that may wait to be taken: as many as uvicorn's own."""

SLICE = 0.0005
"""Seconds after which a thread that wants the interpreter gets it: Python's own 5 ms, once for each step of a model while requests
come in hundreds, would leave the device idle."""


def run(sources: Sequence[str], settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C: then nothing new is taken, and what was accepted is answered.

    Raises:
        UserError: a source is no model, or the address is taken.
    """
    sys.setswitchinterval(SLICE)
    with bound(settings) as address:
        models = Models.open(sources, settings)
        for name in models.names():
            about = models.about(name)
            size = "a graph" if about.num_parameters is None else f"{about.num_parameters:,} parameters"
            say(f"{name}: {', '.join(about.abilities)}; {size}, {about.dtype}")
        gc.collect()
        gc.freeze()  # what is there by now stays: looking through all of it again took a fifth of the loop's time under load
        address.listen(_BACKLOG)
        say(f"serving on http://{settings.host}:{address.getsockname()[1]}")
        Server(models).run(sockets=[address])


def bound(settings: Settings) -> socket.socket:
    """The address, before minutes are spent on models. Nobody can connect yet.

    Raises:
        UserError: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # the protocol is named: only then asyncio sets TCP_NODELAY, without which an answer in two parts waits 40 ms for an ACK
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((settings.host, settings.port))
    except OSError as error:
        found.close()
        raise UserError(
            f"{settings.host}:{settings.port} cannot be listened on ({error.strerror}): choose another --port or --host"
        ) from None
    return found


class Server(uvicorn.Server):
    """uvicorn's, which says that it is not ready any more as soon as it is told to stop."""

    def __init__(self, models: Models) -> None:
        """Make it, and room for as many connections as the system allows."""
        settings = models.settings
        self._models = models
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        app = application(settings, models)
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                http=partial(Connection, why_not=models.why_not, refused=Refusals(app.state.metrics)),  # type: ignore[arg-type]
                ws="none",
                log_level="error",
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=int(settings.timeout) + 1,
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Told to stop."""
        self._models.is_ready = False
        super().handle_exit(sig, frame)
