"""The surroundings of a process: settings, logs, the vault, the job queue, Redis clients, supervised children."""
