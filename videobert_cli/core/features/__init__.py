"""Clips become features.

In: videos (`core.video`) and the recipe's `extract:` section. Out: one float16 vector for each clip, with the
clip's start in seconds. On disk: a feature store (`store_format.py` draws it), one item a video, sealed into
~256 MB shards, `quarantine.jsonl` beside them; in a model directory `extractor.json` and, for weights that no
package carries, `backbone.safetensors`.
"""
