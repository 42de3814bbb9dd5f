"""Uformer, a U-shaped transformer with windows, through spandrel's class."""
