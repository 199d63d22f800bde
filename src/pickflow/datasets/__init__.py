"""Labelled records to train and test pickers with, wherever they come from; see docs/datasets.md."""
