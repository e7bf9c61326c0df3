"""The operations of mailhaul: `Operations` has every verb that changes something. No function here prints or waits."""
