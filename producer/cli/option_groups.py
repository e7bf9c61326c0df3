"""Groups of options that several verbs have, each declared once: a verb has a parameter of the group's class."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

import typer

from producer.cli.verb import ExcludeOption, IncludeOption, SeparatorOption, WaveRuleOption
from producer.cli.wanting import confirmed, selected
from producer.intake.allowed import Allowed
from producer.intake.selection_options import SelectionOptions
from shared.nouns import dataclass

if TYPE_CHECKING:  # the help of the command line imports this module
    from producer.intake.columns import Reading


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerOptions:
    """The servers of both sides."""

    destination: Annotated[str, typer.Option("--destination", metavar="URL|PROVIDER", help="Where mail goes to.")]
    source: Annotated[
        str,
        typer.Option(
            "--source",
            metavar="URL|PROVIDER",
            help="Where mail comes from: imaps://imap.example.org, gmail, yandex … Not needed where each row names its server.",
        ),
    ] = ""
    allow_plaintext: Annotated[
        bool, typer.Option("--allow-plaintext", help="Let imap:// go to other machines than this one.")
    ] = False
    source_ca: Annotated[
        str,
        typer.Option("--source-ca", metavar="FILE", help="CA file to trust for the source instead of the system's."),
    ] = ""
    destination_ca: Annotated[
        str, typer.Option("--destination-ca", metavar="FILE", help="CA file to trust for the destination.")
    ] = ""
    source_fingerprint: Annotated[
        str,
        typer.Option(
            "--source-fingerprint", metavar="SHA256", help="SHA-256 of the source's certificate, accepted as it is."
        ),
    ] = ""
    destination_fingerprint: Annotated[
        str,
        typer.Option("--destination-fingerprint", metavar="SHA256", help="SHA-256 of the destination's certificate."),
    ] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInOptions:
    """The ways to sign in to both sides for rows without a password of their own."""

    source_auth: Annotated[
        str,
        typer.Option(
            "--source-auth",
            metavar="WAY",
            help="How to sign in: password, master, authzid, proxyauth, token, google … (docs/signing-in.md).",
        ),
    ] = ""
    source_admin: Annotated[
        str,
        typer.Option(
            "--source-admin", metavar="LOGIN", help="Sign in as this administrator for rows without a password."
        ),
    ] = ""
    source_password_file: Annotated[
        str,
        typer.Option(
            "--source-password-file",
            metavar="FILE",
            help="The administrator's password, the token or the key; asked for without it.",
        ),
    ] = ""
    destination_auth: Annotated[
        str,
        typer.Option(
            "--destination-auth",
            metavar="WAY",
            help="How to sign in at the destination, as for --source-auth.",
        ),
    ] = ""
    destination_admin: Annotated[
        str,
        typer.Option(
            "--destination-admin",
            metavar="LOGIN",
            help="Sign in there as this administrator for rows without a password of their own.",
        ),
    ] = ""
    destination_password_file: Annotated[
        str,
        typer.Option(
            "--destination-password-file", metavar="FILE", help="The administrator's password, the token or the key."
        ),
    ] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountsOptions:
    """The accounts at the destination that are not there yet."""

    accounts: Annotated[
        list[str] | None,
        typer.Option(
            "--accounts",
            metavar="[DOMAIN=]URL",
            help="What makes accounts at the destination: scim+https://…, hook:/path, passwd-file:/path … (docs/accounts.md).",
        ),
    ] = None
    accounts_secret_file: Annotated[
        list[str] | None,
        typer.Option(
            "--accounts-secret-file", metavar="[DOMAIN=]FILE", help="The token, key or password for --accounts."
        ),
    ] = None
    generate_passwords: Annotated[
        bool, typer.Option("--generate-passwords", help="Make a password for each new account whose row gives none.")
    ] = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestOptions:
    """The name of an import, its folders and its hours, for the verbs that write an import down."""

    name: Annotated[
        str, typer.Option("--name", help="What to call it; a new import without it has the file's name.")
    ] = ""
    include: IncludeOption = None
    exclude: ExcludeOption = None
    verify: Annotated[
        str, typer.Option("--verify", metavar="default|full", help="full reads every message back and compares it.")
    ] = "default"
    window: Annotated[
        str,
        typer.Option(
            "--window",
            metavar="HOURS",
            help='Work only in these hours, e.g. "Mon-Fri 20:00-06:00; Sat-Sun Europe/Berlin"; none: at any time.',
        ),
    ] = ""
    wave: Annotated[
        str, typer.Option("--wave", metavar="NAME", help="The wave of rows that name none (docs/waves.md).")
    ] = ""
    wave_rule: WaveRuleOption = None

    @property
    def asked(self) -> dict[str, Any]:
        """The fields of `ImportAsked` that these options are."""
        lists = {name: tuple(getattr(self, name) or ()) for name in ("include", "exclude", "wave_rule")}
        return {name: getattr(self, name) for name in ("name", "verify", "window", "wave")} | lists


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetOptions:
    """The way to read the manifest."""

    encoding: Annotated[
        str, typer.Option("--encoding", help="Of the manifest: utf-8, utf-16, cp1251, cp1252; detected if omitted.")
    ] = ""
    separator: SeparatorOption = ""
    ignore_column: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore-column", metavar="HEADING", help="Leave this column of the manifest out; may be repeated."
        ),
    ] = None
    no_header: Annotated[
        bool, typer.Option("--no-header", help="The manifest's first row is a mailbox, whatever it looks like.")
    ] = False

    @property
    def reading(self) -> Reading:
        """The operator's words about the columns."""
        from producer.intake.columns import Reading

        return Reading(ignored=tuple(self.ignore_column or ()), no_header=self.no_header)


#: Class of a group → the function whose parameters are its options, and whose result it is.
GROUPS: Final[dict[Any, Callable[..., Any]]] = {
    ServerOptions: ServerOptions,
    SignInOptions: SignInOptions,
    AccountsOptions: AccountsOptions,
    SheetOptions: SheetOptions,
    RequestOptions: RequestOptions,
    SelectionOptions: selected,
    Allowed: confirmed,
}


def grouped(function: Callable[..., int]) -> Callable[..., int]:
    """Returns the verb with the options of each group in place of the parameter that has its class."""
    own = inspect.signature(function, eval_str=True)
    groups = {name: GROUPS[one.annotation] for name, one in own.parameters.items() if _is_group(one.annotation)}
    options = {name: inspect.signature(made, eval_str=True).parameters for name, made in groups.items()}

    @functools.wraps(function)
    def run(**given: Any) -> int:
        made = {name: groups[name](**{one: given.pop(one) for one in options[name]}) for name in groups}
        return function(**given, **made)

    parameters = [
        other.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, one in own.parameters.items()
        for other in (options[name].values() if name in options else (one,))
    ]
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": int}
    return run


def all_optional(function: Callable[..., int]) -> Callable[..., int]:
    """Returns the verb with no option that must be given: what is left out stays as it is."""
    whole = inspect.signature(function)
    parameters = [
        one.replace(default="")
        if one.default is inspect.Parameter.empty and one.annotation is not typer.Context
        else one
        for one in whole.parameters.values()
    ]
    function.__signature__ = whole.replace(parameters=parameters)  # type: ignore[attr-defined]
    return function


def _is_group(annotation: Any) -> bool:
    return not get_args(annotation) and annotation in GROUPS
