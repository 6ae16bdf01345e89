"""The operator that a user without a provider would write: the floor of one update."""

from __future__ import annotations

from typing import Any

import requests
from airflow.sdk import BaseHook, BaseOperator

from dev.benchmarks.update import SCHEDULE, path


class HandWritten(BaseOperator):
    """Reads the two connections and sends; it checks, retries and masks nothing."""

    def execute(self, context: object) -> Any:
        """Update the integration.

        :param context: Airflow's task context, which is not used.
        :return: the parsed response.
        """
        datafold = BaseHook.get_connection("datafold_default")
        hightouch = BaseHook.get_connection("hightouch_default")
        response = requests.put(
            f"{datafold.host}{path(7)}",
            json={"token": hightouch.password, **SCHEDULE},
            headers={"Authorization": f"Key {datafold.password}"},
            timeout=30,
        )
        response.raise_for_status()
        return response.json()
