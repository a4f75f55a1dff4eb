"""The texts that people read and sign, as files that counsel can review: see README.md."""
