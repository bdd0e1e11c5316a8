"""Known datasets' own annotation files, and the videos on disk that they annotate.

In: a dataset's annotation file or folder (one adapter a dataset, `registry` lists them) and the folder where its
videos lie. Out: `Draft`s of the videos that are there, as the other forms of a list give them, and what was found:
how much is annotated, what is missing, what was left out and why. Nothing on disk is written.
"""
