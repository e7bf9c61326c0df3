"""The IMAP adapter: a session, its folders, the source side and the destination side."""
