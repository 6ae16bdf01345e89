"""Hooks: the way from an Airflow connection to Datafold's API."""
