"""The subcommands of `shyper-tui`, one per file; each is imported when it is used."""
