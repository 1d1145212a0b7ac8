"""Targets, label records, the corpus that they point into, and how far annotators agree."""
