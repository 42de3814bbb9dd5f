"""SwinIR, a transformer with shifted windows, through spandrel's class."""
