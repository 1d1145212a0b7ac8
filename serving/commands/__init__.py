"""The subcommands of `stance`, a module for each kind of work."""
