"""All that the provider knows of secrets: their names, and how to keep them out of sight."""
