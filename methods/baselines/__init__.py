"""General restoration networks, built with the classes of the package spandrel."""
