"""TransWeather: a transformer encoder with weather queries in its decoder."""
