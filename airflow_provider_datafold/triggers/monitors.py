"""The event trigger that starts a DAG when a monitor alerts. It needs Airflow 3.0 or newer."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

try:
    from airflow.triggers.base import BaseEventTrigger, TriggerEvent
except ImportError:
    from airflow.exceptions import AirflowOptionalProviderFeatureException

    raise AirflowOptionalProviderFeatureException(
        "DatafoldMonitorAlertTrigger needs Apache Airflow 3.0 or newer: older versions cannot "
        "watch an asset."
    ) from None

from airflow_provider_datafold import USER_AGENT, client
from airflow_provider_datafold.api import fields, monitors
from airflow_provider_datafold.connection.fetch import fetch_settings_async
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldConfigurationError,
    DatafoldError,
    DatafoldInputError,
)
from airflow_provider_datafold.jobs.alerts import Attention, Memory, Page, Reported
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


_Alerts = tuple[set[int], list[dict[str, Any]]]
"""The runs whose alerts were reported, and the alerts that are to be."""


class Look(NamedTuple):
    """A look at the list of monitors: the host that was asked, and the monitors by their ids."""

    host: str
    monitors: Mapping[int, Mapping[str, Any]]

    def shown(self, monitor_id: int) -> tuple[Any, ...]:
        """Return what changes when a run of a monitor starts, ends or alerts."""
        monitor = self.monitors[monitor_id]
        return self.host, *map(monitor.get, ("last_alert", "last_run", "state"))


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
        memory = Memory(getattr(self, "asset_state_store", None), self.datafold_conn_id, self.log)
        attention: defaultdict[int, Attention] = defaultdict(Attention)
        turns = asyncio.Semaphore(_MOST_AT_ONCE)
        readings: dict[int, asyncio.Task[_Alerts]] = {}
        unknown: set[int] = set()
        try:
            async for look in shared_stream:
                self._tell_unknown(unknown, look)
                begun = {
                    monitor_id: asyncio.create_task(
                        self._read(look, monitor_id, memory, attention[monitor_id], turns)
                    )
                    for monitor_id in self._ids(look)
                    if monitor_id in look.monitors
                    and monitor_id not in readings
                    and attention[monitor_id].is_due(look.shown(monitor_id))
                }
                readings |= begun
                if begun:
                    await asyncio.wait(begun.values(), timeout=_PATIENCE)
                await memory.keep()
                for monitor_id in [each for each, reading in readings.items() if reading.done()]:
                    reported, alerts = readings.pop(monitor_id).result()
                    for alert in alerts:
                        self.log.info("Monitor %(monitor_id)d alerts in run %(run_id)d.", alert)
                        yield TriggerEvent(alert)  # type: ignore[no-untyped-call]
                        await asyncio.sleep(_WRITE_AFTER)
                        reported.add(alert["run_id"])
                        await memory.keep()
        finally:
            for reading in readings.values():
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

    def _ids(self, look: Look) -> list[int]:
        """Return the ids of the monitors. A name without a monitor may get one later.

        A monitor that was renamed stays the same one; one that was deleted does not.
        """
        for name in self.monitor_ids:
            if isinstance(name, str) and self._found.get((look.host, name)) not in look.monitors:
                try:
                    self._found[look.host, name] = find(
                        "monitor_ids", MONITOR.noun, name, look.monitors.values()
                    )
                    self._told.pop(name, None)
                except DatafoldInputError as error:
                    if self._told.get(name) != str(error):
                        self.log.warning("Not watched: %s", error)
                    self._told[name] = str(error)
        found = (self._found.get((look.host, each), each) for each in self.monitor_ids)
        return sorted({each for each in found if isinstance(each, int)})

    async def _read(
        self,
        look: Look,
        monitor_id: int,
        memory: Memory,
        attention: Attention,
        turns: asyncio.Semaphore,
    ) -> _Alerts:
        """Read the newest runs of a monitor, and return what was reported and what is to be."""
        try:
            async with turns:
                known = await memory.load(monitor_id)
                newest = await self._newest_runs(look.host, monitor_id)
        except Exception as error:
            # A later look at the list leads here again.
            self.log.warning(
                "Could not look for alerts of monitor %d: %s. Trying again at the next poll.",
                monitor_id,
                _reason(error),
            )
            return set(), []
        attention.take(look.shown(monitor_id), newest)
        is_first = look.host not in known
        reported = known.setdefault(look.host, Reported())
        ids = reported.take(newest)
        if is_first:
            self.log.info(
                "Watching monitor %d: reporting alerts of runs that end from now on.", monitor_id
            )
            reported.runs, ids = set(ids), []
        return reported.runs, [
            {"monitor_id": monitor_id, "run_id": id_, "diff_id": newest.items[id_].get("diff_id")}
            for id_ in ids
        ]

    async def _look(self) -> Look:
        settings = await self._settings()
        async with self._client(settings) as driver:
            return Look(settings.base_url, await _all(driver))

    async def _newest_runs(self, host: str, monitor_id: int) -> Page:
        settings = await self._settings()
        if settings.base_url != host:
            raise DatafoldConfigurationError("the connection has another host since the last poll")
        async with self._client(settings) as driver:

            async def page(number: int) -> Page:
                answer = await driver.call(
                    monitors.LIST_RUNS, monitor_id=monitor_id, page=number, page_size=_PAGE_SIZE
                )
                return Page.of(answer, "runs", "run_id")

            first = await page(1)
            if not (numbers := first.last_pages):
                return first
            items = {id_: run for n in numbers for id_, run in (await page(n)).items.items()}
            return Page(items, first.total)

    async def _settings(self) -> Settings:
        # Read each time: the watch goes on for months, and a key may be another one by then.
        return await fetch_settings_async(self.datafold_conn_id)

    @staticmethod
    def _client(settings: Settings) -> AsyncClient:
        return client.loop.AsyncClient(settings, USER_AGENT)


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
