"""From labelled sentences to a model folder, and from there to a report."""
