"""Rows beside imports: people, tokens, sessions, cutovers, targets and the audit log. Each row of rights is signed."""
