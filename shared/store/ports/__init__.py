"""Parts of the store's port, each as a protocol of its own."""
