"""Connections, tables, row security and encryption: what every repository needs."""
