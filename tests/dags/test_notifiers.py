"""The recipe for Slack and mail, whose hooks only note what they would send."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from dev.sandbox.data_diffs import DIFFERENT
from tests import documents
from tests.conftest import ROOT
from tests.gates import source_of

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

slack = pytest.importorskip("airflow.providers.slack.notifications.slack")
smtp = pytest.importorskip("airflow.providers.smtp.notifications.smtp")


class Mail:
    def __init__(self, sent: list[Any]) -> None:
        self.sent = sent

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def send_email_smtp(self, **message: Any) -> None:
        self.sent.append((message["subject"], message["html_content"]))


def test_a_gate_that_differs_tells_slack_and_mail(
    run_dag: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(
        slack.SlackHook, "call", lambda _, __, json, **___: sent.append(json["text"])
    )
    monkeypatch.setattr(smtp.SmtpNotifier, "hook", Mail(sent))
    sandbox.state.data_diffs.courses.default = DIFFERENT
    page = documents.section(ROOT / "docs" / "recipes.md", "Slack and mail")
    (snippet,) = documents.blocks_in(page, "python")
    run_dag(source_of("notifiers", textwrap.dedent(snippet)), "notifiers")
    reason = "rows added 3, rows removed 2, rows different 5, match ratio 0.95"
    text, mail = sent
    assert text.startswith(f"`SHOP.ORDERS` differs: {reason}. ")
    assert mail == ("gate did not pass", reason)
