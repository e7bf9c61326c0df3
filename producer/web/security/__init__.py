"""The checks of who may ask what, from where, and how often: authentication, roles, origins and limits."""
