"""Files become frames become clips.

In: a folder, a table or a file that names videos, and the rate and size of the frames that are wanted.
Out: a list of `Video` with splits and labels; for each of them batches of clips (RGB uint8), or a reason why not.
On disk: nothing; frames are decoded in a child process and streamed.
"""
