"""The provider on a real Airflow cluster: many updates, a killed worker, a rough service.

Run it with ``make test-cluster``.
"""
