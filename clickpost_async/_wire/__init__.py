"""What the bytes mean: pure functions, no I/O."""
