"""Targets, label records, the corpus that they point into, what each annotator said, and what was decided."""
