"""What is asked for: each integration gets a schedule that no other one has."""

from __future__ import annotations

COUNT = 40
BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}]
CRONS = {number: f"{number} {number % 24} * * *" for number in range(1, COUNT + 1)}
"""The schedules, by the id of the integration."""
