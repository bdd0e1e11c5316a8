"""Words + sentences in, model inputs out: `[CLS] text [>] visual words [SEP]`, masked, packed; nothing on disk.

All randomness is a function of (seed, epoch, sample id): the same sample is the same sequence in any order, batch,
worker or restart.
"""
