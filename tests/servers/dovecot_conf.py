"""The configuration of a test's Dovecot: every choice in one place, each with the trap that it avoids."""

from __future__ import annotations

import grp
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that a test may choose."""

    separator: str
    prefix: str
    mail_format: Literal["maildir", "sdbox", "mdbox", "mbox"]
    layout: Literal["maildir++", "fs"]
    user_connections: int
    quota_bytes: int | None
    special_use: bool
    fsync: bool
    any_login_password: str | None
    capability: str | None
    extra: str

    def with_quota(self, quota_bytes: int) -> Settings:
        """Returns the settings with another quota."""
        return replace(self, quota_bytes=quota_bytes)


def render(
    settings: Settings,
    home: Path,
    user: str,
    group: int,
    port: int,
    tls_port: int,
    pop3_port: int = 0,
    pop3s_port: int = 0,
) -> str:
    """Returns the text of dovecot.conf. `user` owns every process and all mail."""
    group_name = grp.getgrgid(group).gr_name
    return f"""
base_dir = {home}/run
state_dir = {home}/state
instance_name = {home.name}
log_path = {home}/log
protocols = imap{" pop3" if pop3_port else ""}
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group_name}
default_login_user = {user}
first_valid_uid = 1
mail_location = {_location(settings)}
mail_fsync = {"optimized" if settings.fsync else "never"}
mail_max_userip_connections = {settings.user_connections}

ssl = yes
ssl_cert = <{home}/cert.pem
ssl_key = <{home}/key.pem
disable_plaintext_auth = no

auth_mechanisms = plain login
# Logins as they are: any character, no lower case.
auth_username_chars =
auth_username_format = %u
# One line for each outcome; passwords are not logged.
auth_debug = yes
auth_failure_delay = 0

{_databases(settings, home)}
{_namespace(settings)}
{_quota(settings)}
# Rootless: nothing can change its root.
service anvil {{
  chroot =
  # Without it a wrong password slows down everybody from the same address.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  service_count = 0
  process_limit = 4
  client_limit = 1000
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 500
}}
service stats {{
  chroot =
}}
{_pop3(pop3_port, pop3s_port) if pop3_port else ""}
{settings.extra}
"""


def _pop3(port: int, tls_port: int) -> str:
    return f"""
service pop3-login {{
  chroot =
  service_count = 0
  process_limit = 4
  client_limit = 1000
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = {tls_port}
    ssl = yes
  }}
}}
service pop3 {{
  process_limit = 500
}}
"""


def _location(settings: Settings) -> str:
    if settings.mail_format in ("sdbox", "mdbox"):
        return f"{settings.mail_format}:~/{settings.mail_format}"
    if settings.mail_format == "mbox":
        return "mbox:~/mail:INBOX=~/inbox"
    # With folder names as directories INBOX needs a place of its own.
    return "maildir:~/Maildir" + (":LAYOUT=fs:INBOX=~/Inbox" if settings.layout == "fs" else "")


def _databases(settings: Settings, home: Path) -> str:
    text = f"""
# Takes any password and decides nothing. Refusals are collected and told every half second, whatever the delay,
# unless a field says otherwise; and a passdb that refuses loses its own fields.
passdb {{
  driver = static
  args = password={{PLAIN}}%w nodelay=y
  result_success = continue-fail
}}
# A file for each account (its name is the MD5 of the login): one file is looked at once a second at most, so that a
# login added to it would be unknown for a while.
passdb {{
  driver = passwd-file
  args = username_format=%u {home}/users/%Mu
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {home}/users/%Mu
}}
"""
    if settings.any_login_password is None:
        return text
    return (
        text
        + f"""
passdb {{
  driver = static
  args = password={settings.any_login_password}
}}
userdb {{
  driver = static
  args = uid={home.stat().st_uid} gid={home.stat().st_gid} home={home}/mail/any/%u allow_all_users=yes
}}
"""
    )


_SPECIAL = ("Drafts", "Sent", "Trash", "Junk", "Archive")


def _namespace(settings: Settings) -> str:
    mailboxes = "".join(
        f"  mailbox {name} {{\n    special_use = \\{name}\n  }}\n" for name in _SPECIAL if settings.special_use
    )
    return f"""
namespace inbox {{
  inbox = yes
  separator = {settings.separator}
  prefix = {settings.prefix}
{mailboxes}}}
"""


def _quota(settings: Settings) -> str:
    if settings.quota_bytes is None:
        return ""
    return f"""
mail_plugins = quota
protocol imap {{
  mail_plugins = quota imap_quota
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_grace = 0
  quota_rule = *:storage={settings.quota_bytes}B
}}
"""
