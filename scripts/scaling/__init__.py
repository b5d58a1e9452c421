"""What `scripts/scale` is made of: cases, runs, figures, and the report."""
