"""Files of any size, scored in constant memory (`stance batch`)."""
