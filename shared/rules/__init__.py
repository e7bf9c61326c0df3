"""Rules that decide which work is done when: selection, batches, age bands, hours, looks. Pure."""
