"""What prompts do: a summary with every table, and an analysis on request."""
