"""The routes of the API, and the bodies of its requests."""
