"""Hardware files of other tools, read for what they share with ours; what they do not share is listed, not guessed."""
