"""The feature store: one video is one item, safe once it is written, found by its id, its hash checked when read.

In: features float16 `[T, D]` of a video, or words kept in their place. Out: the same, and `.npy` trees or HDF5.
On disk: `format.py` draws it; `quarantine.jsonl` beside it lists what could not be read, and why.
"""
