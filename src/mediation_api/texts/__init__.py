"""What people are shown and sign, as files that counsel can read: see README.md."""
