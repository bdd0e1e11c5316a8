"""Logits in, gradients and checkpoints out: the one training loop, its objectives, and exact resume.

On disk: `checkpoints/step-000100/` (weights, optimizer, state, manifest last), `metrics.jsonl`, `model/`.
"""
