"""Numbers in, pages out: a codebook's gallery, training sequences in readable form, a model directory's card.

Nothing here writes: pages are text, whole, with styles, scripts and pictures inside.
"""
