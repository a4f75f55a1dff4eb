"""Development only: an embedded PostgreSQL, demo data and an identity provider. Not part of a wheel."""
