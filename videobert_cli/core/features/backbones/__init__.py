"""Networks that turn a clip into a vector: one `*_backbone.py` or `efficientnet.py` each, found by name in `registry`.

In: raw frames uint8 and, for each clip, its rows in them. Out: float32 `[N, D]`, and the features' fingerprint.
On disk: in a model directory `extractor.json` and, for weights that no package carries, `backbone.safetensors`.
"""
