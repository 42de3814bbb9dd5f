"""What prompts do: a quick probe beside every table, and full ones on request."""
