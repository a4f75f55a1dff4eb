"""The SQL of the service: one file for each aggregate or report."""
