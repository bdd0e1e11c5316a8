"""Words + sentences in, model inputs out: `[CLS] text [>] visual words [SEP]`, masked, packed, in batches.

On disk: a corpus's token ids, clips and words as mapped arrays (the artifact `tokens`). All randomness is a function of
(seed, epoch, sample id): the same sample is the same sequence in any order, batch, worker, rank or restart.
"""
