"""The section Audit logs: what changed, and when."""

from __future__ import annotations

from typing import Any

from dev.sandbox import moment
from dev.sandbox.journal import Change
from dev.sandbox.router import Router

router = Router()


@router.handles("GET", "/api/v1/audit_logs")
def list_all(changes: list[Change], body: dict[str, Any] | None) -> Any:
    span = body or {}
    return {
        "logs": [
            {
                "event_uuid": change.uuid,
                "timestamp": change.timestamp,
                "url": change.path,
                "request_type": change.method,
                "action": change.action,
                "object_type": change.section,
                "object_id": change.number,
                "client_ip": "127.0.0.1",
                "user_email": "sandbox@example.com",
                "user_id": 1,
                "is_support_user": False,
                "source": "api",
                "status": "success",
            }
            for change in changes
            if moment.is_between(change.timestamp, span.get("start_date"), span.get("end_date"))
        ]
    }
