"""The event trigger that starts a DAG when a monitor alerts. It needs Airflow 3.0 or newer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

try:
    from airflow.triggers.base import BaseEventTrigger, TriggerEvent
except ImportError:
    from airflow.exceptions import AirflowOptionalProviderFeatureException

    raise AirflowOptionalProviderFeatureException(
        "DatafoldMonitorAlertTrigger needs Apache Airflow 3.0 or newer: older versions cannot "
        "watch an asset."
    ) from None

from airflow_provider_datafold import __version__
from airflow_provider_datafold.api import fields, monitors
from airflow_provider_datafold.connection.fetch import fetch_settings_async
from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.waiting.alerts import Cursor

if TYPE_CHECKING:
    from airflow_provider_datafold.client.aio import AsyncClient

_CURSOR = "datafold_told_runs"
"""Key in the asset's store. It lives in users' databases."""

_WRITE_AFTER = 3.0
"""Seconds from an event to the note that it was told, and to the next event.

Airflow keeps the event meanwhile, and its scheduler starts the DAG: of events that come sooner, it
gives a run only the first, and the others to the run after that, however much later that is.
"""

_PAGE_SIZE = 100


class DatafoldMonitorAlertTrigger(BaseEventTrigger):
    """Fires for each alert of some monitors, for an ``AssetWatcher``.

    .. code-block:: python

        alert = DatafoldMonitorAlertTrigger(monitor_ids=[7])
        asset = Asset("orders_alert", watchers=[AssetWatcher(name="datafold", trigger=alert)])

        with DAG("on_alert", schedule=[asset]):
            ...

    The event's payload is ``{"monitor_id", "run_id", "diff_id"}``; ``diff_id`` may be null. It
    tells of runs that end with an alert after the trigger has started for the first time.

    From Airflow 3.3 on, all triggers of one connection with the same ``poll_interval`` share one
    poll of the list of monitors, and the last run that was told of is kept in the asset's store: an
    alert that falls into a restart of the triggerer is told afterwards. It is told twice only if
    the triggerer is killed in the three seconds before that is noted. Older versions keep nothing:
    there an alert that falls into a restart is not told. Alerts at the same time are told three
    seconds apart.

    :param monitor_ids: ids of the monitors, positive integers.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :param poll_interval: seconds between two looks at the list of monitors.
    :raises DatafoldInputError: an argument is wrong.
    """

    def __init__(
        self,
        monitor_ids: Sequence[int | str],
        datafold_conn_id: str = "datafold_default",
        poll_interval: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        ids = fields.sequence("monitor_ids", monitor_ids, "must be a list of ids, e.g. [7, 8]")
        found = {fields.positive_integer(f"monitor_ids[{i}]", id_) for i, id_ in enumerate(ids)}
        if not found:
            raise fields.input_error("monitor_ids", monitor_ids, "must name at least one monitor")
        self.monitor_ids = sorted(found)
        self.datafold_conn_id = datafold_conn_id
        self._doubt: dict[int, Any] = {}
        self._has_warned = False
        self.poll_interval = float(fields.positive_number("poll_interval", poll_interval))

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what a triggerer makes the trigger of."""
        names = ("monitor_ids", "datafold_conn_id", "poll_interval")
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    def shared_stream_key(self) -> tuple[str, ...]:
        """Return what the triggers have in common that share a poll (Airflow 3.3 and later)."""
        return (__name__, self.datafold_conn_id, str(self.poll_interval))

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[dict[int, Any]]:
        """Read the list of monitors again and again.

        :param kwargs: the arguments of one of the triggers.
        :return: by monitor, when it alerted last. Whatever fails is logged, and tried again.
        """
        trigger = cls(**kwargs)
        while True:
            try:
                async with await trigger._open_client() as client:
                    seen = {
                        monitor["id"]: monitor.get("last_alert") async for monitor in _all(client)
                    }
            except DatafoldError as error:
                trigger.log.warning("Could not list the monitors: %s.", error.summary)
            else:
                yield seen
            await asyncio.sleep(trigger.poll_interval)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll alone, where Airflow shares no polls."""
        stream = self.open_shared_stream(self.serialize()[1])
        async for event in self.filter_shared_stream(stream):
            yield event

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[dict[int, Any]]
    ) -> AsyncIterator[TriggerEvent]:
        """Read the runs of the monitors that alerted, and fire for what is new.

        :param shared_stream: what :meth:`open_shared_stream` reads.
        """
        cursor = Cursor.load(await self._kept())
        settled: dict[int, Any] = {}
        async for last_alerts in shared_stream:
            before = cursor.dump()
            alerts: list[dict[str, Any]] = []
            for monitor_id in self.monitor_ids:
                last_alert = last_alerts.get(monitor_id)
                if settled.get(monitor_id, ...) != last_alert:
                    alerts += await self._new_alerts(cursor, monitor_id, last_alert, settled)
            if cursor.dump() != before:
                await self._keep(cursor)
            for alert in alerts:
                self.log.info("Monitor %(monitor_id)d alerts in run %(run_id)d.", alert)
                yield TriggerEvent(alert)  # type: ignore[no-untyped-call]
                await asyncio.sleep(_WRITE_AFTER)
                cursor.note(alert)
                await self._keep(cursor)

    async def _new_alerts(
        self, cursor: Cursor, monitor_id: int, last_alert: Any, settled: dict[int, Any]
    ) -> list[dict[str, Any]]:
        """Read the runs of a monitor whose last alert is another one than before."""
        try:
            runs = await self._runs(monitor_id)
        except DatafoldError as error:
            # The next look at the list leads here again.
            self.log.warning(
                "Could not read the runs of monitor %d: %s.", monitor_id, error.summary
            )
            return []
        if monitor_id not in cursor.told:
            cursor.begin(monitor_id, runs)
            alerts = []
        else:
            alerts = cursor.new_alerts(monitor_id, runs)
        is_listed = (
            last_alert is None or bool(alerts) or self._doubt.pop(monitor_id, ...) == last_alert
        )
        if is_listed:
            settled[monitor_id] = last_alert
        else:
            # The list of monitors may be ahead of the list of runs: look once more.
            self._doubt[monitor_id] = last_alert
        return alerts

    async def _runs(self, monitor_id: int) -> list[Mapping[str, Any]]:
        """Read the runs at both ends of the list: the contract does not say which is the newest."""
        async with await self._open_client() as client:
            values: dict[str, Any] = {"monitor_id": monitor_id, "page_size": _PAGE_SIZE}
            first = await client.call(monitors.LIST_RUNS, **values)
            pages = first.get("total_pages")
            if not isinstance(pages, int) or pages < 2:
                return list(_dicts(first, "runs"))
            last = await client.call(monitors.LIST_RUNS, **values, page=pages)
            return [*_dicts(first, "runs"), *_dicts(last, "runs")]

    async def _open_client(self) -> AsyncClient:
        # Loads what only a triggerer needs.
        from airflow_provider_datafold.client.aio import AsyncClient

        # Read each time: the watch goes on for months, and a key may be another one by then.
        settings = await fetch_settings_async(self.datafold_conn_id)
        return AsyncClient(settings, f"airflow-provider-datafold/{__version__}")

    async def _kept(self) -> Any:
        """Return what an earlier triggerer kept, ``None`` where there is no usable store."""
        store = getattr(self, "asset_state_store", None)
        if store is None:
            return None
        try:
            return await store.aget(_CURSOR)
        except Exception as error:
            self._warn(error)
            return None

    async def _keep(self, cursor: Cursor) -> None:
        store = getattr(self, "asset_state_store", None)
        if store is None:
            return
        try:
            await store.aset(_CURSOR, cursor.dump())
        except Exception as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        """Say once that nothing is kept, e.g. because two assets share this trigger."""
        if not self._has_warned:
            self._has_warned = True
            self.log.warning(
                "The asset has no usable store (%s), so an alert that falls into a restart of the "
                "triggerer is not told. Watch each asset with arguments of its own.",
                type(error).__name__,
            )


async def _all(client: AsyncClient) -> AsyncIterator[Mapping[str, Any]]:
    page, pages = 1, 1
    while page <= pages:
        answer = await client.call(
            monitors.LIST, page=page, page_size=_PAGE_SIZE, order_by="id", sort_order="asc"
        )
        for monitor in _dicts(answer, "monitors"):
            if isinstance(monitor.get("id"), int):
                yield monitor
        total = answer.get("total_pages")
        pages = total if isinstance(total, int) else pages
        page += 1


def _dicts(answer: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    found = answer.get(name)
    for item in found if isinstance(found, list) else ():
        if isinstance(item, dict):
            yield item
