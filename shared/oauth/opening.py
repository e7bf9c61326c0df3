"""Opens the issuer for a way to sign in."""

from __future__ import annotations

from shared.model.sides import Side
from shared.model.sign_in import SignIn, Way
from shared.oauth import Issuer
from shared.runtime.secret import Secret


def open_issuer(side: Side, protocol: str, sign_in: SignIn, secret: Secret) -> Issuer:
    """Opens the issuer; `protocol` is "imap" or "pop3".

    Raises `UsageError`. The vendors' libraries are large, and loaded only when needed.
    """
    if sign_in.way is Way.GOOGLE:
        from shared.oauth.google import IMAP_SCOPE, MAIL_SCOPE, GoogleIssuer

        usual = IMAP_SCOPE if protocol == "imap" else MAIL_SCOPE
        return GoogleIssuer(side, secret.reveal(), sign_in.detail or usual)
    if sign_in.way is Way.MICROSOFT:
        from shared.oauth.microsoft import MicrosoftIssuer

        return MicrosoftIssuer(side, sign_in.detail, secret.reveal())
    from shared.oauth.command import CommandIssuer

    return CommandIssuer(side, sign_in.detail)
