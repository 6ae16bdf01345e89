"""Run gates in a real Airflow, kill its processes, and stop and clear the gates.

Run it with ``make test-kill``.
"""
