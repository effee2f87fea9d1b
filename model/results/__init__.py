"""What a fit found: draws, group-level effects, estimates and how far they can be trusted."""
