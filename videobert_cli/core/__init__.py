"""The shared core, in the order of the data.

video, features, words, text, sequences, model, training, tasks, metrics, reports: each folder imports those before it.
"""
