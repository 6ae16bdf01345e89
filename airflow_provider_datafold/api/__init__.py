"""What Datafold's API offers, as declarations. Nothing in here does I/O."""
