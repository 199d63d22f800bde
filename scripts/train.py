"""Rule train: train the small picker and evaluate it."""
