"""The rules of mediation. Standard library only: nothing here knows of HTTP, SQL or the time."""
