"""subtitles -> sentences -> ids.

In: a subtitle file of any kind (docs/subtitles.md), or the sound of a video. Out: timed cues, timed sentences, and ids
of the joint vocabulary: text tokens, the glue `[>]`, visual words. On disk: vocab.txt, tokenizer.json and
tokenizer_config.json, as transformers writes them.
"""
