"""What is asked for again and again."""

from __future__ import annotations

from dev.cluster.plan import CHANGE, DEFERRED_GATE, GATE, MONITOR, Plan

SOAK = Plan("soak", {DEFERRED_GATE: 4, GATE: 1, MONITOR: 2, CHANGE: 2}, longest=30.0)

EVERY = 30.0
"""Seconds between the starts of two DAG runs."""
