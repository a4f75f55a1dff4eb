"""Mediation of complaints about police officers, as a REST service."""
