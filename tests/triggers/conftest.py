"""What the tests of the trigger for alerts share."""

from __future__ import annotations

import importlib
import logging

import pytest

from tests.alerts import World
from tests.conftest import Log


@pytest.fixture
def alert_log(log: Log, monkeypatch: pytest.MonkeyPatch) -> Log:
    """Everything that is logged: where Airflow sends a trigger's messages differs."""
    module = importlib.import_module("airflow_provider_datafold.triggers.monitors")
    trigger = module.DatafoldMonitorAlertTrigger
    monkeypatch.setattr(trigger, "log", logging.getLogger("trigger"))
    return log


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, alert_log: Log) -> World:
    """A trigger for alerts, with a service, a store and a clock."""
    return World(monkeypatch)
