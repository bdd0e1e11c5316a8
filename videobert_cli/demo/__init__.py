"""A seed -> a little kitchen: `videos/*.mp4` with `.srt` beside them, `texts/*.srt`, `videos.csv` and `manifest.json`.

In: a seed and numbers of videos. Out: eight verbs (each seen by its tool or its effect) times eight objects, in steps
of 5 to 7 seconds, narrated as cooking shows are; eight pairs of verb and object occur in test videos only.
On disk: an artifact of kind `demo` whose `videos.csv` is an ordinary manifest, one row for each labelled step.
"""
