"""What only developers of the provider need; the wheel has none of it."""
