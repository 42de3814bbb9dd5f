"""Tables, figures and texts: pure functions of results."""
