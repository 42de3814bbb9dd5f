"""The degraded input as it is, which every method has to beat."""
