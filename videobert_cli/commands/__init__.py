"""The command line: thin shells around the pipeline and the core; the only place that talks to a terminal."""
