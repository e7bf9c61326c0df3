"""What runs a process: settings, logs, the vault, the job queue, Redis clients, supervised children."""
