"""Who is calling: the identity provider's keys, and tokens."""
