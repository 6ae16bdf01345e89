"""A pull request, as CI tells Datafold of it."""

from __future__ import annotations

PULL_REQUEST = {
    "pr_number": 8,
    "pr_sha": "0a1b2c3",
    "base_sha": "F" * 64,
    "pr_branch": "feature/x",
    "base_branch": "main",
}
CHANGES = [{"prod": "DB.PUBLIC.ORDERS", "pr": "DB.PR_8.ORDERS", "pk": ["id"]}]
