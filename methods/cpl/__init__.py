"""CPL (arXiv 2504.09973): what is public of it, and nothing else."""
