"""The event trigger that starts a DAG when a monitor alerts. It needs Airflow 3.0 or newer."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

try:
    from airflow.triggers.base import BaseEventTrigger, TriggerEvent
except ImportError:
    from airflow.exceptions import AirflowOptionalProviderFeatureException

    raise AirflowOptionalProviderFeatureException(
        "DatafoldMonitorAlertTrigger needs Apache Airflow 3.0 or newer: older versions cannot "
        "watch an asset."
    ) from None

from airflow_provider_datafold import __version__, client
from airflow_provider_datafold.api import fields, monitors
from airflow_provider_datafold.connection.fetch import fetch_settings_async
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldConfigurationError,
    DatafoldError,
    DatafoldInputError,
)
from airflow_provider_datafold.jobs.alert_runs import MOST_RUNS, Page, Runs, read_back
from airflow_provider_datafold.jobs.alert_store import AlertStore
from airflow_provider_datafold.jobs.alerts import Listed, Look, Watch
from airflow_provider_datafold.jobs.identity import MONITOR, find, id_or_name

if TYPE_CHECKING:
    from airflow_provider_datafold.client.loop import AsyncClient
    from airflow_provider_datafold.connection.settings import Settings

_WRITE_AFTER = 3.0
"""Seconds from an event to the note that it was reported, and to the next event.

Airflow keeps the event meanwhile, and its scheduler starts the DAG: of events that come sooner, it
gives a run only the first, and the others to the run after that, however much later that is.
"""

_PAGE_SIZE = 100

_MOST_PAGES = 1000
"""Pages of the list of monitors: a service that makes up more is not read without end."""

_PATIENCE = 5.0
"""Seconds that a look waits for the runs of monitors. What takes longer goes on, and is reported
with a later look: the other monitors do not wait for it."""

_MOST_AT_ONCE = 20
"""Monitors whose runs are read at the same time."""


class DatafoldMonitorAlertTrigger(BaseEventTrigger):
    """Fires for each alert of some monitors, for an ``AssetWatcher``.

    .. code-block:: python

        alert = DatafoldMonitorAlertTrigger(monitor_ids=[7])
        asset = Asset("orders_alert", watchers=[AssetWatcher(name="datafold", trigger=alert)])

        with DAG("on_alert", schedule=[asset]):
            ...

    The event's payload is ``{"monitor_id", "run_id", "diff_id"}``; ``diff_id`` may be null. It
    reports runs that end with an alert after the trigger has read the monitor's runs for the first
    time.

    From Airflow 3.3 on, all triggers of one connection with the same ``poll_interval`` share one
    poll of the list of monitors, and what was reported is kept in the asset's store: an alert that
    falls into a restart of the triggerer is reported afterwards. It is reported twice only if the
    triggerer is killed in the three seconds before that is stored, or if Airflow's store fails.
    Older versions keep nothing: there an alert that falls into a restart is not reported. Alerts
    at the same time are reported three seconds apart.

    :param monitor_ids: ids or names of the monitors, e.g. ``[7, "orders are fresh"]``. A name
        that no monitor has is a warning in the triggerer's log, once until that changes.
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
        ids = fields.sequence("monitor_ids", monitor_ids, "must be a list of ids or names")
        found = {id_or_name(f"monitor_ids[{i}]", id_) for i, id_ in enumerate(ids)}
        if not found:
            raise fields.input_error("monitor_ids", monitor_ids, "must name at least one monitor")
        self.monitor_ids = sorted(found, key=lambda each: (isinstance(each, str), each))
        self._found: dict[tuple[str, int | str], int] = {}
        """The ids of those that are given by their names, by host and name."""
        self._told: dict[str, str] = {}
        """What was last said of the names that no monitor has."""
        self.datafold_conn_id = datafold_conn_id
        self.poll_interval = float(fields.positive_number("poll_interval", poll_interval))

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what a triggerer makes the trigger of."""
        names = ("monitor_ids", "datafold_conn_id", "poll_interval")
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    def shared_stream_key(self) -> tuple[str, ...]:
        """Return what the triggers have in common that share a poll (Airflow 3.3 and later)."""
        return (__name__, self.datafold_conn_id, str(self.poll_interval))

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Look]:
        """Read the list of monitors again and again.

        :param kwargs: the arguments of one of the triggers.
        :return: what each look shows. Whatever fails is logged, and tried again.
        """
        trigger = cls(**kwargs)
        while True:
            try:
                look = await trigger._look()
            except Exception as error:
                trigger.log.warning("Could not list the monitors: %s.", _reason(error))
            else:
                yield look
            await asyncio.sleep(trigger.poll_interval)

    def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll alone, where Airflow shares no polls."""
        return self.filter_shared_stream(self.open_shared_stream(self.serialize()[1]))

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Look]
    ) -> AsyncIterator[TriggerEvent]:
        """Read the runs of the monitors that alerted, and fire for what is new.

        :param shared_stream: what :meth:`open_shared_stream` reads.
        """
        store = AlertStore(
            getattr(self, "asset_state_store", None), self.datafold_conn_id, self.log
        )
        watches: dict[int, Watch] = {}
        turns = asyncio.Semaphore(_MOST_AT_ONCE)
        readings: dict[asyncio.Task[list[dict[str, Any]]], tuple[Watch, str]] = {}
        unknown: set[int] = set()
        try:
            async for look in shared_stream:
                if self._is_stale(look):
                    continue
                self._tell_unknown(unknown, look)
                read = {watch.monitor_id for watch, _ in readings.values()}
                begun = [
                    (watch, asyncio.create_task(self._new_alerts(watch, look, turns)))
                    for watch in await self._watches(watches, store, look)
                    if watch.monitor_id not in read and _is_due(watch, look)
                ]
                readings |= {reading: (watch, look.host) for watch, reading in begun}
                if begun:
                    await asyncio.wait([reading for _, reading in begun], timeout=_PATIENCE)
                for watch in watches.values():
                    await store.keep(watch.monitor_id, watch.cursor)
                for reading in [reading for reading in readings if reading.done()]:
                    watch, host = readings.pop(reading)
                    for alert in reading.result():
                        self.log.info("Monitor %(monitor_id)d alerts in run %(run_id)d.", alert)
                        yield TriggerEvent(alert)  # type: ignore[no-untyped-call]
                        await asyncio.sleep(_WRITE_AFTER)
                        watch.note(host, alert)
                        await store.keep(watch.monitor_id, watch.cursor)
        finally:
            for reading in readings:
                reading.cancel()

    def _tell_unknown(self, told: set[int], look: Look) -> None:
        """Tell of monitors that are not there: nothing else can say that an id is wrong."""
        ids = {each for each in self.monitor_ids if isinstance(each, int)}
        unknown = ids - look.monitors.keys()
        for monitor_id in sorted(unknown - told):
            self.log.error(
                "There is no monitor %d in the list of monitors of the connection %r: no alert of "
                "it is reported. Check monitor_ids.",
                monitor_id,
                self.datafold_conn_id,
            )
        told.intersection_update(unknown)
        told.update(unknown)

    def _is_stale(self, look: Look) -> bool:
        """Return whether a newer look follows: Airflow keeps those that were not taken in time."""
        return time.monotonic() - look.time > max(self.poll_interval, _PATIENCE)

    async def _watches(
        self, watches: dict[int, Watch], store: AlertStore, look: Look
    ) -> list[Watch]:
        """Begin to watch each monitor, once the store says what was reported of it."""
        ids = self._ids(look)
        for monitor_id in ids:
            if monitor_id not in watches and (cursor := await store.load(monitor_id)) is not None:
                watches[monitor_id] = Watch(monitor_id, cursor)
        return [watches[monitor_id] for monitor_id in ids if monitor_id in watches]

    def _ids(self, look: Look) -> list[int]:
        """Return the ids of the monitors. A name without a monitor may get one later.

        A monitor that was renamed stays the same one; one that was deleted does not.
        """
        listed = [{"id": number, "name": name} for number, name in look.names.items()]
        for name in self.monitor_ids:
            if isinstance(name, str) and self._found.get((look.host, name)) not in look.names:
                try:
                    self._found[look.host, name] = find("monitor_ids", MONITOR.noun, name, listed)
                    self._told.pop(name, None)
                except DatafoldInputError as error:
                    if self._told.get(name) != str(error):
                        self.log.warning("Not watched: %s", error)
                    self._told[name] = str(error)
        found = (self._found.get((look.host, each), each) for each in self.monitor_ids)
        return sorted({each for each in found if isinstance(each, int)})

    async def _new_alerts(
        self, watch: Watch, look: Look, turns: asyncio.Semaphore
    ) -> list[dict[str, Any]]:
        """Read the runs of a monitor, of which there may be a new alert."""
        monitor_id, listed = watch.monitor_id, look.monitors[watch.monitor_id]
        back_to = watch.back_to(look.host)
        try:
            async with turns:
                runs = await self._runs(look.host, watch, back_to)
            found = watch.take(look.host, listed, runs, time.monotonic())
        except Exception as error:
            # A later look at the list leads here again.
            watch.fail(time.monotonic(), getattr(error, "retry_after", None))
            self.log.warning(
                "Could not read the runs of monitor %d: %s.", monitor_id, _reason(error)
            )
            return []
        if found.is_first:
            self.log.info(
                "Watching monitor %d: reporting alerts of runs that end from now on.", monitor_id
            )
        if runs.is_cut and not found.is_first:
            self.log.warning(
                "Monitor %d has more than %d runs since run %d. Alerts of those before run %d are "
                "not reported.",
                monitor_id,
                MOST_RUNS,
                back_to,
                min(runs.found),
            )
        for run_id in found.given_up:
            self.log.warning(
                "Run %d of monitor %d had not ended, and is no longer among its last %d runs. An "
                "alert of this run is not reported.",
                run_id,
                monitor_id,
                MOST_RUNS,
            )
        return found.alerts

    async def _look(self) -> Look:
        settings = await self._settings()
        async with self._client(settings) as driver:
            found = await _all(driver)
        listed = {monitor_id: Listed.of(monitor) for monitor_id, monitor in found.items()}
        names = {monitor_id: monitor.get("name") for monitor_id, monitor in found.items()}
        return Look(settings.base_url, listed, time.monotonic(), names)

    async def _runs(self, host: str, watch: Watch, back_to: float) -> Runs:
        """Read the runs of a monitor back to a given one."""
        settings = await self._settings()
        if watch.is_failing:
            # It has been tried again already, and others wait for their turn.
            settings = dataclasses.replace(settings, max_retries=0)
        if settings.base_url != host:
            raise DatafoldConfigurationError("the connection has another host since the last poll")
        reading = read_back(back_to)
        number = next(reading)
        async with self._client(settings) as driver:
            while True:
                answer = await driver.call(
                    monitors.LIST_RUNS,
                    monitor_id=watch.monitor_id,
                    page=number,
                    page_size=_PAGE_SIZE,
                )
                try:
                    number = reading.send(Page.of(answer, "runs", "run_id"))
                except StopIteration as end:
                    runs: Runs = end.value
                    return runs

    async def _settings(self) -> Settings:
        # Read each time: the watch goes on for months, and a key may be another one by then.
        return await fetch_settings_async(self.datafold_conn_id)

    @staticmethod
    def _client(settings: Settings) -> AsyncClient:
        return client.loop.AsyncClient(settings, f"airflow-provider-datafold/{__version__}")


def _is_due(watch: Watch, look: Look) -> bool:
    listed = look.monitors.get(watch.monitor_id)
    return listed is not None and watch.is_due(look.host, listed, time.monotonic())


async def _all(driver: AsyncClient) -> dict[int, Mapping[str, Any]]:
    """Read the list of monitors, and return them by their ids."""
    found: dict[int, Mapping[str, Any]] = {}
    for number in range(1, _MOST_PAGES + 1):
        answer = await driver.call(
            monitors.LIST, page=number, page_size=_PAGE_SIZE, order_by="id", sort_order="asc"
        )
        page = Page.of(answer, "monitors", "id")
        # A page with nothing new is the last one, however many the service says there are.
        is_last = number >= page.total or page.items.keys() <= found.keys()
        found.update(page.items)
        if is_last:
            return found
    raise DatafoldAnswerError(f"the list has not ended after {_MOST_PAGES} pages")


def _reason(error: Exception) -> str:
    """Say what went wrong; a foreign error's own text may hold a secret."""
    return error.summary if isinstance(error, DatafoldError) else type(error).__name__
