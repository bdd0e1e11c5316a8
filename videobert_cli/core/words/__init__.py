"""features -> visual words.

In: the feature store (one float16 array [num_clips, dim] per video). Out: a codebook (tree of centroids) and
the visual words of every video. On disk: artifact `codebook` (centroids.safetensors + codebook.json) and
artifact `words` (words.safetensors + words.json); to look at, artifact `survey` (the quality, and clips of each word).
"""
