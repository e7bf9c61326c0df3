"""The report of one page, for those who pay: HTML that prints well, and CSV."""
