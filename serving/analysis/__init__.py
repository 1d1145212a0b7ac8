"""Who says what in a document: quotations, holders, and what it all adds up to."""
