"""The answers of servers: their grammar, response codes, limits and announced extensions."""
