"""A classifier of the degradation, which chooses explicit prompts."""
