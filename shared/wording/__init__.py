"""Words sizes and durations for people, and hides secrets in texts from outside. Pure."""
