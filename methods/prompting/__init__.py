"""Prompts, routers and their objective, for PromptIR and for any network with insertion points."""
