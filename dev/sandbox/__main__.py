"""Run the sandbox by itself: ``python -m dev.sandbox``."""

from __future__ import annotations

import argparse
import json
import threading
from contextlib import suppress

from dev.sandbox.bi import ASSUMPTION
from dev.sandbox.server import DEFAULT_API_KEY, Sandbox
from dev.sandbox.state import State
from dev.sandbox.weather import Weather


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m dev.sandbox",
        description="A stand-in for Datafold's API on 127.0.0.1. " + ASSUMPTION,
    )
    parser.add_argument("--port", type=int, default=0, help="port (default: a free one)")
    parser.add_argument(
        "--api-key", default=DEFAULT_API_KEY, help="the key to accept (default: %(default)s)"
    )
    parser.add_argument(
        "--integrations", type=int, default=10, help="how many there are (default: %(default)s)"
    )
    parser.add_argument(
        "--flaky",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of calls answered with 429 or 503, from 0 to 1 (default: 0)",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=0.0,
        metavar="CALLS",
        help="calls a second beyond which it answers 429 (default: no limit)",
    )
    arguments = parser.parse_args()
    sandbox = Sandbox(
        api_key=arguments.api_key,
        port=arguments.port,
        state=State(count=arguments.integrations),
        weather=Weather(flaky=arguments.flaky, rate=arguments.rate),
    )
    with suppress(KeyboardInterrupt), sandbox:
        print(f"The sandbox listens at {sandbox.url}", flush=True)
        print(f"Its API is described at {sandbox.url}/docs", flush=True)
        connection = {"conn_type": "datafold", "host": sandbox.url, "password": sandbox.api_key}
        print(f"AIRFLOW_CONN_DATAFOLD_DEFAULT='{json.dumps(connection)}'", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
