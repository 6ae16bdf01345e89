"""The page in Airflow's UI: what gates and monitors found, of a run and over the last runs."""
