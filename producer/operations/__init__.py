"""The operations of mailhaul: every verb, as a function over the store. No function here prints or waits."""
