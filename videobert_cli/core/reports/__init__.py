"""Numbers in, pages out: the model card of a model directory."""
