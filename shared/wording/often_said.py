"""Phrases that several modules say. Pure."""

from __future__ import annotations

from typing import Final

from shared.wording.phrases import Phrase

CHECK_HOST_PORT_AND_FIREWALL: Final = Phrase("check_host_port_and_firewall", "check host, port and firewall")
LINE_WITHOUT_END: Final = Phrase("line_without_end", "a line without an end")
NO_ANSWER_IN_TIME: Final = Phrase("no_answer_in_time", "no answer in time")
CREDENTIALS_ARE_NO_LONGER_STORED: Final = Phrase(
    "credentials_are_no_longer_stored", "the {side} credentials are no longer stored"
)
HAS_NO_ADDRESS: Final = Phrase("has_no_address", "{host} has no address")
INTERNAL_ERROR_LOG_OF_MAILHAUL: Final = Phrase(
    "internal_error_log_of_mailhaul", "internal error; the log of mailhaul says more"
)
GIVE_AT_LEAST_ONE_PASSWORD: Final = Phrase("give_at_least_one_password", "give at least one password")
THIS_NEEDS_ROLE_ADMIN_YOURS: Final = Phrase(
    "this_needs_role_admin_yours", "this needs the role admin; yours is {role_word}"
)
THERE_IS_NO_SUCH_THING_TO_DO: Final = Phrase("there_is_no_such_thing_to_do", "there is no such thing to do")
MAILHAUL_WEB_ROLES_GIVES: Final = Phrase(
    "mailhaul_web_roles_gives", "MAILHAUL_WEB_ROLES gives you no role here; ask the administrator of mailhaul"
)
TOO_MANY_WRONG_GUESSES: Final = Phrase("too_many_wrong_guesses", "Too many wrong guesses; try again in a minute.")
ASKS_TO_WAIT_S: Final = Phrase("asks_to_wait_s", "{service} asks to wait {num} s")
CANNOT_BE_READ_OR_WRITTEN: Final = Phrase("cannot_be_read_or_written", "{path} cannot be read or written ({cause})")
ANSWERS_AND_NO_JMAP: Final = Phrase("answers_and_no_jmap", "{service} answers {status} and no JMAP: {said}")
CALLED_THERE: Final = Phrase("called_there", "called {folder} there")
FLAG_NOT_ATOM_DROPPED: Final = Phrase("flag_not_atom_dropped", "flag not an atom, dropped: {said}")
CLOSED_CONNECTION: Final = Phrase("closed_connection", "closed the connection")
DOES_NOT_TAKE_ANOTHER_LOGIN: Final = Phrase("does_not_take_another_login", "does not take another login now")
LET_US_IN_BY_WITHOUT_PROVING: Final = Phrase(
    "let_us_in_by_without_proving", "let us in by {name} without proving that it knows the password"
)
COULD_NOT_GIVE_ALL_MESSAGES: Final = Phrase("could_not_give_all_messages", "could not give all messages")
WOULD_NOT_SEARCH: Final = Phrase("would_not_search", "would not search")
ANSWERED_STATUS_OF_WITH_SOMETHING_THAT_MAKES: Final = Phrase(
    "answered_status_of_with_something_that_makes", "answered STATUS of {name} with something that makes no sense"
)
ANNOUNCED_BYTES_FOR_MESSAGE_OF_AT_MOST: Final = Phrase(
    "announced_bytes_for_message_of_at_most", "announced {size} bytes for a message of at most {most}"
)
CANNOT_OPEN: Final = Phrase("cannot_open", "cannot open {folder}")
SENT_ANSWERS_WITHOUT_END: Final = Phrase("sent_answers_without_end", "sent answers without end")
WAS_RECREATED_ITS_UIDVALIDITY_CHANGED: Final = Phrase(
    "was_recreated_its_uidvalidity_changed", "{folder} was recreated (its UIDVALIDITY changed)"
)
SENT_SOMETHING_THAT_IS_NO_ANSWER: Final = Phrase("sent_something_that_is_no_answer", "sent something that is no answer")
NO_LONGER_AT_SOURCE: Final = Phrase("no_longer_at_source", "no longer at the source")
GIVE_WHOLE_ADDRESS_IN_LIST: Final = Phrase("give_whole_address_in_list", "give the whole address in the list")
RUN_COORDINATOR_ON_MACHINE_WITH_THIS_FILE: Final = Phrase(
    "run_coordinator_on_machine_with_this_file",
    "run the coordinator on the machine with this file, as a user who owns it and may write its folder",
)
THERE_IS_NO_FILE: Final = Phrase("there_is_no_file", "there is no file {file}")
