"""Many runs at once: measured, compared, asked about."""
