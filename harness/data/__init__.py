"""Images: embedded photographs, degradations, data sets on disk, and the sources behind both."""
