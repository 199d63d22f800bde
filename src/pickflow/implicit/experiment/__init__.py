"""The implicit model as an experiment: what the picks of a picker lose with its weights; docs/implicit-model.md."""
