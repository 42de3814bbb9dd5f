"""MiOIR: a Restormer under an explicit or an adaptive prompt, and its degradation classifier."""
