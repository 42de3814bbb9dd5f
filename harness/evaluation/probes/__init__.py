"""What prompts do: a summary beside every table, and an analysis on request."""
