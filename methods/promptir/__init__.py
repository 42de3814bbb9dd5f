"""PromptIR (Potlapalli et al., NeurIPS 2023) and its variants of prompts and objective."""
