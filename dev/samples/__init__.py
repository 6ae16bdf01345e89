"""What the example DAGs need: tables to compare, and connections."""
