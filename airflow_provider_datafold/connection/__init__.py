"""What an Airflow connection says, and its form."""
