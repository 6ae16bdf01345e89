"""What operators, sensors and triggers share: what is done at Datafold, and how."""
