"""The methods: networks, prompts and objectives, one module each."""
