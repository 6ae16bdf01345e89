"""The names that users depend on are those of tests/public_names.txt."""

from __future__ import annotations

import pytest

from airflow_provider_datafold.retry_policy import DEFAULT_RETRY_POLICY
from dev.scripts import public_names


@pytest.mark.skipif(DEFAULT_RETRY_POLICY is None, reason="older Airflow lacks what some names need")
def test_no_name_changes_unnoticed() -> None:
    # If this is meant: `make public-names`, and a line in the CHANGELOG.
    kept = public_names.PATH.read_text().splitlines()
    assert public_names.render().splitlines() == kept
