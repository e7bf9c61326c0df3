"""Doubles of account services as their documentation describes them, refusals included.

Each keeps its accounts as passwords by login.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

from tests.servers.http_api import Asked, HttpApi, Said

SECRET = "t0ken-canary"
WEAK = "weak"
DOMAIN = "new.example"


class AccountApi(HttpApi):
    """The common part of the account services."""

    def __init__(self, created: Callable[[str, str], None] | None = None) -> None:
        super().__init__()
        #: Password of each account, by login.
        self.accounts: dict[str, str] = {}
        #: Other fields of each request, by login.
        self.wanted: dict[str, dict[str, Any]] = {}
        #: Names that belong to something other than an account.
        self.aliases: set[str] = set()
        self._created = created

    def add(self, login: str, password: str, wanted: dict[str, Any] | None = None) -> None:
        """Creates an account."""
        self.accounts[login] = password
        self.wanted[login] = wanted or {}
        if self._created:
            self._created(login, password)


class MailcowApi(AccountApi):
    """The double of mailcow's `/api/v1`: it answers 200 to everything but a wrong key."""

    def answer(self, asked: Asked) -> Said:
        if asked.headers.get("x-api-key") != SECRET:
            return Said(status=401, body={"type": "error", "msg": "authentication failed"})
        if asked.path.startswith("/api/v1/get/mailbox/"):
            login = asked.path.rpartition("/")[2]
            return Said(body={"username": login, "active": 1} if login in self.accounts else {})
        if asked.path.startswith("/api/v1/get/domain/"):
            there = asked.path.endswith(f"/{DOMAIN}")
            return Said(body={"domain_name": DOMAIN, "def_new_mailbox_quota": 3 << 30} if there else {})
        assert asked.path == "/api/v1/add/mailbox"
        return Said(body=[self._added(asked.json)])

    def _added(self, wanted: dict[str, Any]) -> dict[str, Any]:
        login = f"{wanted['local_part']}@{wanted['domain']}"
        log = ["mailbox", "add", "mailbox", {**wanted, "password": "*", "password2": "*"}]

        def danger(*words: Any) -> dict[str, Any]:
            return {"type": "danger", "log": log, "msg": list(words) if len(words) > 1 else words[0]}

        if wanted["domain"] != DOMAIN:
            return danger("domain_not_found", wanted["domain"])
        if login in self.accounts:
            return danger("object_exists", login)
        if login in self.aliases:
            return danger("is_alias_or_mailbox", login)
        if wanted["password"] != wanted["password2"] or wanted["authsource"] != "mailcow":
            return danger("password_mismatch")
        if WEAK in wanted["password"]:
            return danger("password_complexity")
        if int(wanted["quota"]) > 10240:
            return danger("mailbox_quota_exceeded", 10240)
        self.add(login, wanted["password"], wanted)
        return {"type": "success", "log": log, "msg": ["mailbox_added", login]}


class StalwartApi(AccountApi):
    """The double of Stalwart's JMAP: it answers 200 and lists refusals in `notCreated`.

    Its filter by name finds more than the name.
    """

    def answer(self, asked: Asked) -> Said:
        if asked.headers.get("authorization") != f"Bearer {SECRET}":
            return Said(status=401, body={"type": "about:blank", "status": 401, "title": "Unauthorized"})
        assert asked.path == "/jmap"
        assert "urn:stalwart:jmap" in asked.json["using"]
        found: list[Any] = []
        for name, arguments, call in asked.json["methodCalls"]:
            found.append([name, self._call(name, arguments, found), call])
        return Said(body={"methodResponses": found, "sessionState": "s"})

    def _call(self, name: str, arguments: dict[str, Any], before: list[Any]) -> Any:
        if name.endswith("/query"):
            kind = self.aliases and []  # aliases belong to accounts, and the API does not list them
            names = [DOMAIN, f"sub.{DOMAIN}"] if "Domain" in name else [*self.accounts, *(kind or [])]
            wanted = arguments["filter"]["name"]
            return {"ids": [f"id-{one}" for one in names if wanted in one]}
        if name.endswith("/get"):
            assert arguments["#ids"]["path"] == "/ids"
            ids = [one.removeprefix("id-") for one in before[-1][1]["ids"]]
            if "Domain" in name:
                return {"list": [{"id": f"id-{one}", "name": one} for one in ids]}
            return {"list": [{"@type": "User", "name": one.split("@")[0], "emailAddress": one} for one in ids]}
        return self._set(arguments["create"])

    def _set(self, create: dict[str, Any]) -> Any:
        created, refused = {}, {}
        for key, wanted in create.items():
            assert isinstance(wanted["credentials"], dict), "lists are objects on this wire"
            secret = wanted["credentials"]["0"]["secret"]
            login = f"{wanted['name']}@{wanted['domainId'].removeprefix('id-')}"
            if login in self.accounts or login in self.aliases:
                refused[key] = {"type": "primaryKeyViolation", "properties": ["name"]}
            elif WEAK in secret:
                refused[key] = {"type": "invalidProperties", "properties": ["secret"], "description": "too weak"}
            else:
                self.add(login, secret, wanted)
                created[key] = {"id": f"id-{login}", "emailAddress": login}
        return {"created": created, "notCreated": refused}


class Yandex360Api(AccountApi):
    """The two hosts of Yandex 360 in one server."""

    organisation = "1234567"

    def answer(self, asked: Asked) -> Said:
        if asked.headers.get("authorization") != f"OAuth {SECRET}":
            return Said(status=401, body={"code": 16, "message": "unauthorized", "details": []})
        if asked.method == "GET":
            assert asked.path == f"/v1/directory/organizations/{self.organisation}/users"
            login = asked.query["email"]
            users = [{"id": "1", "nickname": login.split("@")[0], "email": login}] if login in self.accounts else []
            return Said(body={"users": users})
        assert asked.path == f"/directory/v1/org/{self.organisation}/users"
        wanted = asked.json
        login = f"{wanted['nickname']}@{DOMAIN}"
        if not wanted["name"]["first"] or not wanted["name"]["last"] or wanted["departmentId"] < 1:
            return Said(status=400, body={"code": 3, "message": "name is required", "details": []})
        if login in self.accounts or login in self.aliases:
            return Said(
                status=409, body={"code": 6, "message": "user with this nickname already exists", "details": []}
            )
        if WEAK in wanted["password"]:
            return Said(status=400, body={"code": 3, "message": "password is too weak", "details": []})
        self.add(login, wanted["password"], wanted)
        return Said(body={"id": "1", "nickname": wanted["nickname"], "email": login})


class WebhookApi(AccountApi):
    """A receiver of signed webhooks, as docs/accounts.md demands one."""

    def answer(self, asked: Asked) -> Said:
        stamp = asked.headers["mailhaul-timestamp"]
        right = hmac.new(SECRET.encode(), stamp.encode() + b"." + asked.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(f"v1={right}", asked.headers["mailhaul-signature"]):
            return Said(status=401, body={"reason": "the signature is wrong"})
        wanted = asked.json
        login = wanted["login"]
        if wanted["action"] == "look":
            return Said(status=200 if login in self.accounts else 404, body={})
        if login in self.accounts:
            return Said(status=409, body={"reason": "exists"})
        if login in self.aliases:
            return Said(status=422, body={"reason": "an alias has this name", "advice": "remove the alias"})
        if WEAK in wanted["password"]:
            return Said(status=422, body={"reason": f"{wanted['password']} is too weak"})
        self.add(login, wanted["password"], wanted)
        return Said(status=201, body={})


class GoogleApi(AccountApi):
    """The Directory API and the token service of its service accounts.

    It reports a mailbox as set up after `setup_looks` lookups.
    """

    setup_looks = 1

    def answer(self, asked: Asked) -> Said:
        if asked.path == "/token":
            return Said(body={"access_token": SECRET, "expires_in": 3600, "token_type": "Bearer"})
        if asked.headers.get("authorization") != f"Bearer {SECRET}":
            return Said(status=401, body={"error": {"code": 401, "message": "Login Required."}})
        if asked.method == "GET":
            login = asked.path.rpartition("/")[2]
            if login in self.aliases:
                return Said(body={"primaryEmail": f"owner@{DOMAIN}", "isMailboxSetup": True})
            if login not in self.accounts:
                return Said(status=404, body={"error": {"code": 404, "message": "Resource Not Found: userKey"}})
            looks = self.wanted[login]["looks"] = self.wanted[login].get("looks", 0) + 1
            return Said(body={"primaryEmail": login, "isMailboxSetup": looks > self.setup_looks})
        assert asked.path == "/admin/directory/v1/users"
        wanted = asked.json
        login = wanted["primaryEmail"]
        if not login.endswith(f"@{DOMAIN}"):
            return Said(status=400, body={"error": {"code": 400, "message": "Invalid Input: primary_user_email"}})
        if login in self.accounts or login in self.aliases:
            return Said(status=409, body={"error": {"code": 409, "message": "Entity already exists."}})
        if WEAK in wanted["password"]:
            return Said(status=400, body={"error": {"code": 400, "message": "Invalid Password: weak"}})
        self.add(login, wanted["password"], wanted)
        return Said(body={"primaryEmail": login})


class GraphApi(AccountApi):
    """The double of Graph's users and licences."""

    sku = "6fd2c87f-b296-42f0-b197-1e91e994b900"

    def answer(self, asked: Asked) -> Said:
        if asked.headers.get("authorization") != f"Bearer {SECRET}":
            return _graph(401, "InvalidAuthenticationToken", "Access token is empty.")
        if asked.path.endswith("/assignLicense"):
            login = asked.path.split("/")[3]
            if not self.wanted[login].get("usageLocation"):
                return _graph(400, "Request_BadRequest", "License assignment failed: invalid usage location.")
            self.wanted[login]["skus"] = [one["skuId"] for one in asked.json["addLicenses"]]
            return Said(body={"id": "1"})
        if asked.method == "GET":
            login = asked.path.rpartition("/")[2]
            if login in self.accounts:
                return Said(body={"id": "1", "userPrincipalName": login})
            return _graph(404, "Request_ResourceNotFound", f"Resource '{login}' does not exist.")
        wanted = asked.json
        login = wanted["userPrincipalName"]
        if login in self.accounts or login in self.aliases:
            said = "Another object with the same value for property userPrincipalName already exists."
            return _graph(400, "Request_BadRequest", said)
        if WEAK in wanted["passwordProfile"]["password"]:
            return _graph(400, "Request_BadRequest", "The specified password is too weak for the policy.")
        self.add(login, wanted["passwordProfile"]["password"], wanted)
        return Said(status=201, body={"id": "1", "userPrincipalName": login})


def _graph(status: int, code: str, message: str) -> Said:
    return Said(status=status, body={"error": {"code": code, "message": message}})
