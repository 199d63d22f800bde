"""Reading and writing: the only place that touches the disk."""
