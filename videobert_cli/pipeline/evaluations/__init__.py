"""A run's models and held-out segments in, a task's metrics and predictions out: one file for each task."""
