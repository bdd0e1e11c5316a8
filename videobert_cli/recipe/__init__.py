"""One YAML file in, one frozen `Recipe` out; on disk a run's recipe.yaml and recipe.resolved.yaml."""
