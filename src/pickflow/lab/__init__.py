"""The model lab: how well pickers do on labelled records, beside one another."""
