"""What has neither a descriptor nor a clock: addresses, options, texts, plans."""
