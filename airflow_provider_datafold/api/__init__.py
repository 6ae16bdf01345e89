"""The operations of Datafold's API, as declarations. Nothing in here does I/O."""
