"""The names that users import. One that goes, or moves, breaks their DAGs."""

from __future__ import annotations

import importlib
import inspect

import airflow
import pytest

import airflow_provider_datafold
from tests.conftest import ROOT

AIRFLOW = tuple(int(part) for part in airflow.__version__.split(".")[:2])

EXPORTED = {
    "hooks.datafold": {"DatafoldHook"},
    "operators.base": {"DatafoldOperator"},
    "operators.bi": {
        "DatafoldSyncIntegrationOperator",
        "DatafoldUpdateDbtOperator",
        "DatafoldUpdateHightouchOperator",
        "DatafoldUpdateLookerOperator",
        "DatafoldUpdateModeOperator",
        "DatafoldUpdatePowerBIOperator",
        "DatafoldUpdateTableauOperator",
    },
    "operators.ci": {"DatafoldTriggerCIOperator", "DatafoldUploadCIChangesOperator"},
    "operators.data_diffs": {
        "DatafoldRunDataDiffOperator",
        "DatafoldSummarizeDataDiffsOperator",
    },
    "operators.dbt": {"DatafoldDbtModelsOperator", "DatafoldUploadDbtArtifactsOperator"},
    "operators.data_sources": {"DatafoldTestDataSourceOperator"},
    "operators.monitors": {
        "DatafoldApplyMonitorsOperator",
        "DatafoldRunMonitorOperator",
        "DatafoldToggleMonitorOperator",
    },
    "sensors.data_diffs": {"DatafoldDataDiffSensor"},
    "sensors.monitors": {"DatafoldMonitorRunSensor"},
    "triggers.job": {"DatafoldJobTrigger"},
    "triggers.monitors": {"DatafoldMonitorAlertTrigger"},
    "links": {"DatafoldDataDiffLink", "DatafoldLink"},
    "exceptions": {
        "DatafoldAlertError",
        "DatafoldAnswerError",
        "DatafoldAuthenticationError",
        "DatafoldCertificateError",
        "DatafoldConfigurationError",
        "DatafoldConflictError",
        "DatafoldConnectionError",
        "DatafoldDeadlineError",
        "DatafoldDifferenceError",
        "DatafoldError",
        "DatafoldFinalError",
        "DatafoldInputError",
        "DatafoldJobCancelledError",
        "DatafoldJobFailedError",
        "DatafoldJobInvalidError",
        "DatafoldNotComparedError",
        "DatafoldNotFoundError",
        "DatafoldPermissionError",
        "DatafoldRateLimitError",
        "DatafoldRedirectError",
        "DatafoldRejectedError",
        "DatafoldServerError",
        "DatafoldStoppedError",
        "DatafoldTimeoutError",
        "DatafoldTransientError",
        "DatafoldUnreachableError",
        "DatafoldValidationError",
        "DatafoldWaitingForPersonError",
    },
}
# What the rest of a module's classes are for: they share code, and may go.
INTERNAL = {"operators.base": {"HookUser", "Links"}, "operators.ci": {"DatafoldCIOperator"}}
NEEDS_AIRFLOW_3 = {"triggers.monitors"}


@pytest.mark.parametrize("module", EXPORTED)
def test_names_are_there(module: str) -> None:
    if module in NEEDS_AIRFLOW_3 and AIRFLOW < (3, 0):
        pytest.skip("Airflow 2 has no event triggers")
    imported = importlib.import_module(f"airflow_provider_datafold.{module}")
    found = {
        name
        for name, value in inspect.getmembers(imported, inspect.isclass)
        if value.__module__ == imported.__name__ and not name.startswith("_")
    }
    assert found - INTERNAL.get(module, set()) == EXPORTED[module]


def test_modules_that_airflow_is_told_of_are_all_there() -> None:
    info = airflow_provider_datafold.get_provider_info()
    kinds = ("hooks", "operators", "sensors", "triggers")
    told = {module for kind in kinds for part in info[kind] for module in part["python-modules"]}
    ours = {f"airflow_provider_datafold.{module}" for module in EXPORTED}
    assert told <= ours


def test_reference_has_them_all() -> None:
    pages = "\n".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.rst"))
    for module, names in EXPORTED.items():
        whole = f".. automodule:: airflow_provider_datafold.{module}\n   :members:" in pages
        for name in names:
            assert whole or f".. autoclass:: airflow_provider_datafold.{module}.{name}" in pages
