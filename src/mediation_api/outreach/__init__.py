"""The world outside: the city's identity provider."""
