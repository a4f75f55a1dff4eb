"""What development needs: an embedded PostgreSQL, demo data and an identity provider. Never in production."""
