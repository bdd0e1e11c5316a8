"""Packed sequences in; states, losses and logits out; on disk `config.json` and `model.safetensors`."""
