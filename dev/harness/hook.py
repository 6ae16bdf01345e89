"""A hook that is kept open, in a process of its own: ``python -m dev.harness.hook``."""

from __future__ import annotations

import time
from contextlib import suppress

from airflow_provider_datafold.exceptions import DatafoldTransientError
from airflow_provider_datafold.hooks.datafold import DatafoldHook

READS = "/api/v1/data_sources"
"""What it reads, and nothing else does."""

_EVERY = 0.5


def main() -> None:
    """Read something every half second."""
    with DatafoldHook() as hook:
        while True:
            with suppress(DatafoldTransientError):
                hook.list_data_sources()
            time.sleep(_EVERY)


if __name__ == "__main__":
    main()
