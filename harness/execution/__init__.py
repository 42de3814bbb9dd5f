"""Training and scoring one run, and what is stored of it."""
