"""`mailhaul demo`: sample servers, and an import from one to the other."""
