"""The service, and the commands."""
