"""What scoring costs: measured in one run, on one machine, each way beside the others (`stance bench`)."""
