"""The conversation with Datafold's API, and the two drivers that can carry it."""
