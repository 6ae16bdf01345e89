"""The provider on a real Airflow cluster: many tasks, kills, a rough service, a database that goes.

Run it with ``make test-cluster``.
"""
