"""What a model's head takes: its labels in training, and inputs in the head's own form.

`tasks` knows what a class is for, `describe` puts inputs and labels together, and each kind of
label has a file: `text`, `images`, `audio` and `series`.
"""
