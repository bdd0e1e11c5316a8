"""The line from a list of videos to the store: decoders, batches across videos, the device, the store behind it.

In: videos, a backbone, a writer. Out: what became of each video, and how fast. On disk: what the store keeps.
Two engines: this machine (`engine_local`), a Ray cluster (`engine_ray`).
"""
