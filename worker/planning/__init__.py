"""Planning a mailbox: both sides are listed, folders made, and batches cut."""
