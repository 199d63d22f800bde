"""
Looking inside a picker: what its layers see, which samples and components decide, and what happens without each part.

Read in this order: `windows` and `sources` (what is looked at), `network` (the map of layers), `recording` (what each
layer makes of a window), `attribution`, `silencing`, `parts` and `sensitivity` (what the picks lose without a part),
`comparison` (what a compression and the variants of EQTransformer left out), `content` and `page` (what a person sees),
and `run`, which joins them.
"""
