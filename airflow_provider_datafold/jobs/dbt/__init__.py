"""What a dbt project says of its models, made into the arguments of gates."""
