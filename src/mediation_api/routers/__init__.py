"""Everything that speaks HTTP: one file per noun."""
