"""What servers say: the grammar of answers, response codes, limits and announced extensions."""
