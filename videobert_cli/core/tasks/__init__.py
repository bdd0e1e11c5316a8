"""Checkpoint + words in, answers out: zero-shot cloze, classes, the timeline of a raw video; JSON lines."""
