"""The pipeline, from the input to the verdict of each ID, and its ports."""
