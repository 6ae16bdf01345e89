"""What the jobs of Datafold are made from. Nothing here sends a request."""
