"""What all operators and sensors share: connection and hook, and how to stop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_datafold import jobs
from airflow_provider_datafold.api.fields import each_checked, one_of
from airflow_provider_datafold.exceptions import DatafoldAnswerError, DatafoldInputError
from airflow_provider_datafold.links import DatafoldLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.api.fields import Check
    from airflow_provider_datafold.jobs.hook import JobHook

ON_ALERT = one_of("fail", "skip", "pass")
"""Checks the argument ``on_alert`` of the operator and of the sensor for a monitor's run."""

ON_SKIPPED = one_of("pass", "fail")
"""Checks their argument ``on_skipped``."""


class HookUser:
    """Opens a hook for as long as a task needs it, and stops it when the task is stopped."""

    datafold_conn_id: str

    _hook: JobHook | None = None
    _is_killed = False

    @contextmanager
    def open_hook(self) -> Iterator[JobHook]:
        """Open the hook of the task's connection, and close it afterwards."""
        with jobs.hook.JobHook(self.datafold_conn_id) as hook:
            # Kept afterwards: on_kill comes when the task has ended, if its time was over.
            self._hook = hook
            if self._is_killed:
                hook.stop()
            yield hook

    def checked(self, hook: JobHook, **checks: Check) -> dict[str, Any]:
        """Check arguments as Airflow rendered them, each by the check of its name."""
        return hook.checked(
            partial(each_checked, checks),
            {name: getattr(self, name) for name in checks},
        )

    def on_kill(self) -> None:
        """Send nothing more when the task is stopped."""
        self._is_killed = True
        if self._hook is not None:
            self._hook.stop()


class DatafoldOperator(BaseOperator, HookUser):
    """Calls Datafold. A subclass says how in :meth:`call`.

    Each parse of a DAG, and so each task's process, pays for what is done here and in the
    constructors: what they need only at work is imported as a package, such as ``jobs``, whose
    modules load when they are first used. Each operator has a single constructor, because Airflow
    wraps that of every base class, too. It takes these parameters:

    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :raises DatafoldInputError: a parameter does not fit the contract; nothing was sent.
    :raises DatafoldConfigurationError: a connection is missing or wrong; nothing was sent.
    :raises DatafoldError: see
        :class:`~airflow_provider_datafold.hooks.datafold.DatafoldHook`.
    """

    # Airflow's class comes first. Otherwise Airflow would think that this class has its own
    # constructor, and `partial` would pass null for the defaults.
    on_kill = HookUser.on_kill

    template_fields: Sequence[str] = ("datafold_conn_id",)
    ui_color = "#e3f0e8"

    def execute(self, context: Context) -> Any:
        """Call Datafold, and return what it returns to XCom, without secrets."""
        with self.open_hook() as hook:
            if page := self.page(hook):
                DatafoldLink.persist(context, page)
            return for_xcom(self.call(hook))

    def call(self, hook: JobHook) -> Any:
        """Do what the operator is for, and return what lands in XCom."""
        raise NotImplementedError

    def page(self, hook: JobHook) -> str | None:
        """Return the address of a page about what is called, ``None`` if not known before."""
        return None


def for_xcom(value: Any) -> Any:
    """Return a value of Datafold's, unless Airflow's XCom would make another one of it.

    Airflow marks objects of Python with names of its own, and does not escape them in other data.
    """
    if isinstance(value, Mapping):
        for names in _XCOM_NAMES:
            if names <= value.keys():
                raise DatafoldAnswerError(
                    f"The response has a field {min(names)!r}, which Airflow's XCom takes for the "
                    f"type of an object, so the task cannot return it. Datafold has carried out "
                    f"the request: look there at what has this field, and rename it."
                )
    if isinstance(value, (Mapping, list, tuple)):
        for item in value.values() if isinstance(value, Mapping) else value:
            for_xcom(item)
    return value


_XCOM_NAMES = ({"__classname__"}, {"__id__"}, {"__type", "__var"})


def check_map_length(argument: str, noun: str, count: int) -> None:
    """Refuse what Airflow would not map, which it says only when the task is done.

    :param argument: the argument that could make it fewer, for the error.
    :param noun: what is mapped.
    :param count: how many there are.
    :raises DatafoldInputError: there are too many.
    """
    most = conf.getint("core", "max_map_length", fallback=1024)
    if count > most:
        raise DatafoldInputError(
            f"{argument}: {count} {noun} are more than Airflow maps ({most}, its setting [core] "
            f"max_map_length). Select fewer in each task, or ask for a higher setting. Nothing was "
            f"sent."
        )


def store(operator: HookUser, arguments: Mapping[str, Any], kept: Iterable[str] = ()) -> None:
    """Store the arguments of a constructor in its operator.

    ``arguments`` are its ``locals()``; those ``kept`` are stored already. In one step, because
    Airflow intercepts each assignment.
    """
    skipped = _NOT_ARGUMENTS.union(kept)
    vars(operator).update((name, value) for name, value in arguments.items() if name not in skipped)


_NOT_ARGUMENTS = frozenset({"self", "kwargs", "__class__"})
