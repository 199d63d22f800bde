"""Pickers and denoisers: their cards, their weights as safetensors, and the bundled picker."""
