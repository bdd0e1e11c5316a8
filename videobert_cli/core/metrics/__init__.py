"""Answers + truth in, numbers out: flat names such as `zero_shot.verb.top1`, beside chance and language prior."""
