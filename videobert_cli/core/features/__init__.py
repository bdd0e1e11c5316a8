"""Clips become features: `extract.py` is the way in, `backbones/` compute, `store/` keeps, `line/` joins them.

In: videos (`core.video`) and the recipe's `extract:` section. Out: one float16 vector for each clip, with the
clip's start in seconds. On disk: a feature store (`store/format.py` draws it), one item a video, sealed into
~256 MB shards, `quarantine.jsonl` beside them; in a model directory `extractor.json` and, for weights that no
package carries, `backbone.safetensors`.
"""
