"""From a request to a plan: methods times seeds on a setting become runs."""
