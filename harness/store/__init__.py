"""What is stored on disk: per-image results, the folders of runs, and archives of both."""
