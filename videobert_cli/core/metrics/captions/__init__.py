"""Captions + references in, BLEU, ROUGE-L, CIDEr-D and METEOR out, equal to coco-caption's.

Captions come in as text and are tokenised here; every metric takes tokens joined by single spaces, as in coco-caption.
"""
