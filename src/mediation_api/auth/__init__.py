"""Authentication: the identity provider's keys, and tokens."""
