"""What the check and its DAG agree on; Airflow's processes read it, too."""

from __future__ import annotations

DAG_ID = "race"
GATE, MONITOR, UPLOAD = "gate", "monitor", "upload"
COUNTS = {GATE: 50, MONITOR: 6, UPLOAD: 4}
"""How many there are of each task, in a round."""
CI_CONFIG_ID = 4
