"""A recipe and a stage in, the stage and all it needs made in the run directory: what is there is not made again."""
