"""The sandbox as a running service, on loopback only."""

from __future__ import annotations

import socket
import threading
import time

import uvicorn

from dev.sandbox.app import create_app
from dev.sandbox.disturbance import Disturbance
from dev.sandbox.state import State

DEFAULT_API_KEY = "sandbox-api-key"
_SECONDS_TO_START = 30


def listen(port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only where the socket names its protocol, which create_server does
    # not. Without it, each response on a kept connection waits 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


class Sandbox:
    """Runs the service in a thread of this process, so that it never outlives it.

    .. code-block:: python

        with Sandbox() as sandbox:
            print(sandbox.url)
    """

    def __init__(
        self,
        api_key: str = DEFAULT_API_KEY,
        port: int = 0,
        state: State | None = None,
        disturbance: Disturbance | None = None,
    ) -> None:
        self.api_key = api_key
        self.state = state or State()
        self.port = port
        app = create_app(api_key, self.state, disturbance or Disturbance())
        config = uvicorn.Config(
            app,
            # Older versions would make uvloop the event loop of the whole process.
            loop="asyncio",
            log_level="warning",
            lifespan="off",
            timeout_graceful_shutdown=1,
            # By default 5 s, in which a busy client does not notice the end of a kept connection.
            timeout_keep_alive=60,
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The service's address, as the host of an Airflow connection."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Sandbox:
        listener = listen(self.port)
        self.port = listener.getsockname()[1]
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + _SECONDS_TO_START
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError("The sandbox did not start.")
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout=10)
        self.state.close()
