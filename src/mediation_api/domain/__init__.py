"""The rules of mediation. Standard library only: no HTTP, no SQL and no clock."""
