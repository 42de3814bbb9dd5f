"""Archives and output folders of version 0.1, read by import alone."""
