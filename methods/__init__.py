"""The methods: a package each, with its spec, its network and its losses, and shared blocks."""
