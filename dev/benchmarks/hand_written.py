"""What a user would write who wants no provider: the floor of an update from an operator."""

from __future__ import annotations

from typing import Any

import requests
from airflow.sdk import BaseHook, BaseOperator

from dev.benchmarks.update import SCHEDULE, path


class HandWritten(BaseOperator):
    """Reads the two connections and sends; nothing is checked, retried or kept secret."""

    def execute(self, context: object) -> Any:
        """Update the integration.

        :param context: Airflow's task context, which is not used.
        :return: the parsed answer.
        """
        datafold = BaseHook.get_connection("datafold_default")
        hightouch = BaseHook.get_connection("hightouch_default")
        answer = requests.put(
            f"{datafold.host}{path(7)}",
            json={"token": hightouch.password, **SCHEDULE},
            headers={"Authorization": f"Key {datafold.password}"},
            timeout=30,
        )
        answer.raise_for_status()
        return answer.json()
