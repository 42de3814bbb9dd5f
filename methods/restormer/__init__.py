"""Restormer (Zamir et al., CVPR 2022): a transformer without prompts."""
