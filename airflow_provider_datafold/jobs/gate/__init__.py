"""The gate: what a data diff proves, and whether a DAG goes on after it."""
