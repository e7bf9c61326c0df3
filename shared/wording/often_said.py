"""Phrases that several modules say. Pure."""

from __future__ import annotations

from typing import Final

from shared.wording.phrases import Phrase, Sentence

CHECK_HOST_PORT_AND_FIREWALL: Final = Phrase("check_host_port_and_firewall", "check host, port and firewall")
MOVED_BY_ITS_USER: Final = Phrase("moved_by_its_user", "its user moved it at the destination: it is in {folder}")
LINE_WITHOUT_END: Final = Phrase("line_without_end", "a line without an end")
ENDS_CONNECTION_AT_MESSAGE: Final = Phrase(
    "ends_connection_at_message", "ends the connection whenever this message is asked for"
)
NO_ANSWER_IN_TIME: Final = Phrase("no_answer_in_time", "no answer in time")
CREDENTIALS_ARE_NO_LONGER_STORED: Final = Phrase(
    "credentials_are_no_longer_stored", "the {side} credentials are no longer stored"
)
HAS_NO_ADDRESS: Final = Phrase("has_no_address", "{host} has no address")
INTERNAL_ERROR_SEE_LOG: Final = Phrase("internal_error_see_log", "internal error; the log of mailhaul says more")
GIVE_AT_LEAST_ONE_PASSWORD: Final = Phrase("give_at_least_one_password", "give at least one password")
NEEDS_ROLE: Final = Phrase("needs_role", "this needs the role {role}; yours is {own_role}")
THERE_IS_NO_SUCH_THING_TO_DO: Final = Phrase("there_is_no_such_thing_to_do", "there is no such thing to do")
MAILHAUL_WEB_ROLES_GIVES_NO_ROLE: Final = Phrase(
    "mailhaul_web_roles_gives_no_role", "MAILHAUL_WEB_ROLES gives you no role here; ask the administrator of mailhaul"
)
TOO_MANY_WRONG_GUESSES: Final = Phrase("too_many_wrong_guesses", "Too many wrong guesses; try again in a minute.")
ASKS_TO_WAIT_S: Final = Phrase("asks_to_wait_s", "{service} asks to wait {num} s")
CANNOT_BE_READ_OR_WRITTEN: Final = Phrase("cannot_be_read_or_written", "{path} cannot be read or written ({cause})")
ANSWERS_AND_NO_JMAP: Final = Phrase("answers_and_no_jmap", "{service} answers {status} and no JMAP: {said}")
CALLED_THERE: Final = Phrase("called_there", "called {folder} there")
FLAG_NOT_ATOM_DROPPED: Final = Phrase("flag_not_atom_dropped", "flag not an atom, dropped: {said}")
CLOSED_CONNECTION: Final = Phrase("closed_connection", "closed the connection")
DOES_NOT_TAKE_ANOTHER_LOGIN: Final = Phrase("does_not_take_another_login", "does not take another login now")
LET_US_IN_WITHOUT_PROVING: Final = Phrase(
    "let_us_in_without_proving", "let us in by {name} without proving that it knows the password"
)
NOT_ALL_MESSAGES_GIVEN: Final = Phrase("not_all_messages_given", "could not give all messages")
WOULD_NOT_SEARCH: Final = Phrase("would_not_search", "would not search")
STATUS_MAKES_NO_SENSE: Final = Phrase(
    "status_makes_no_sense", "answered STATUS of {name} with something that makes no sense"
)
ANNOUNCED_TOO_MANY_BYTES_OF_MESSAGE: Final = Phrase(
    "announced_too_many_bytes_of_message", "announced {size} bytes for a message of at most {most}"
)
CANNOT_OPEN: Final = Phrase("cannot_open", "cannot open {folder}")
SENT_FAR_MORE_BYTES_THAN_USUAL: Final = Phrase(
    "sent_far_more_bytes_than_usual", "sent more than {most} bytes where a few hundred are usual"
)
SENT_ANSWERS_WITHOUT_END: Final = Phrase("sent_answers_without_end", "sent answers without end")
FOLDER_RECREATED: Final = Phrase("folder_recreated", "{folder} was recreated (its UIDVALIDITY changed)")
SENT_NO_ANSWER: Final = Phrase("sent_no_answer", "sent something that is no answer")
NO_LONGER_AT_SOURCE: Final = Phrase("no_longer_at_source", "no longer at the source")
GIVE_WHOLE_ADDRESS_IN_LIST: Final = Phrase("give_whole_address_in_list", "give the whole address in the list")
RUN_COORDINATOR_WHERE_THE_FILE_IS: Final = Phrase(
    "run_coordinator_where_the_file_is",
    "run the coordinator on the machine with this file, as a user who owns it and may write its folder",
)
THERE_IS_NO_FILE: Final = Phrase("there_is_no_file", "there is no file {file}")
OF_SIDE: Final = Phrase("of_side", "{side_word}: {what}")
SERVER_SAID: Final = Phrase("server_said", "{what} (the server said: {said})")
WITH_CAUSE: Final = Phrase("with_cause", "{what} ({cause})")
TOLD_MORE: Final = Phrase("told_more", "{what}: {said}")
AND_CAUSE: Final = Phrase("and_cause", "{what}: {cause}")
SERVICE_SAYS: Final = Phrase("service_says", "{service} says: {said}")
SAYS_NO: Final = Phrase("says_no", "{service} says: no, and not why")
THE_HOOK: Final = Phrase("the_hook", "the hook {path}")
TOOK_TOO_LONG: Final = Phrase("took_too_long", "{service} took more than {num} s")
CANNOT_BE_STARTED: Final = Phrase("cannot_be_started", "{service} cannot be started ({cause})")
ENDED_WITH_NOTHING: Final = Phrase("ended_with_nothing", "{service} ended with {code}, which means nothing")
KILLED_BY_SIGNAL: Final = Phrase("killed_by_signal", "{service} was killed by signal {signal}")
HAS_INTERNAL_ERROR: Final = Phrase("has_internal_error", "{service} has an internal error ({status})")
SERVICE_HAS_INTERNAL_ERROR: Final = Phrase(
    "service_has_internal_error", "{service} has an internal error ({status}: {said})"
)
DOES_NOT_LET_US_IN: Final = Phrase("does_not_let_us_in", "{service} does not let us in ({status})")
SERVICE_DOES_NOT_LET_US_IN: Final = Phrase(
    "service_does_not_let_us_in", "{service} does not let us in ({status}: {said})"
)
CANNOT_CONNECT: Final = Phrase("cannot_connect", "cannot connect to {place}: {cause}")
LOST_CONNECTION: Final = Phrase("lost_connection", "lost the connection to {place}")
CLOSED_BEFORE_SIGNING_IN: Final = Phrase("closed_before_signing_in", "{place} closed the connection before signing in")
DOES_NOT_SPEAK: Final = Phrase("does_not_speak", "{place} does not speak {protocol}")
AND_THE_LAST: Final = Phrase("and_the_last", "{what}; the last: {cause}")
INTERNAL_ERROR: Final = Phrase("internal_error", "internal error: {what}")
AUTHENTICATION_FAILED: Final = Phrase("authentication_failed", "authentication failed")


def without_side(text: str) -> str:
    """Returns a sentence of `OF_SIDE` without the side in front. A store that is older holds it as a plain text."""
    if isinstance(text, Sentence) and text.phrase.code == OF_SIDE.code:
        return str_of(text, "what")
    return text.partition(": ")[2] or text


def str_of(sentence: Sentence, place: str) -> str:
    """Returns the text in a place of a sentence."""
    value = sentence.parameters[place]
    return value if isinstance(value, str) else str(value)
