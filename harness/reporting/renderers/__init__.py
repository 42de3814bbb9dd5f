"""A table as text for terminals, Markdown, LaTeX and CSV; renderers know the model alone."""
