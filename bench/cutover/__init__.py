"""The proof of the cutover: hundreds of mailboxes move wave by wave while mail comes every second and processes are killed.

Everything is real: two Dovecots, Redis, workers, a coordinator, and the command line. Mail is delivered at the side that the switch
names at that moment, with some that goes to the other one for a while, as from a sender who still holds an old answer of the DNS.
"""
