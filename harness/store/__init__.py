"""The rows on disk: one line per image and metric, and the folders of cells."""
