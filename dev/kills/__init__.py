"""Gates in a real Airflow whose processes are killed, and which people stop and clear.

Run it with ``make test-kill``.
"""
