"""Label records to and from the files of annotation tools; `docs/exchange.md` says what each format holds."""
