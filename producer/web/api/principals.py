"""Routes for administrators: tokens, users of the page, sessions of browsers."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from producer.operations.token_expiry import read_expiry
from producer.web.api import admin_answers, answers
from producer.web.api.request_bodies import TokenBody, UserBody
from producer.web.problems import Refused
from producer.web.security.access import Admin, Known, noted
from producer.web.security.scrypt import checked, hashed
from shared.model.errors import UsageError
from shared.store.records.principals import ApiToken, User, checked_name, role_of
from shared.wording.phrases import FaultsFound, faults_of

routes = APIRouter(route_class=answers.AnswerRoute)
Name = Annotated[str, Path(max_length=80, description="As it is typed to sign in.")]


@routes.get("/tokens", tags=["tokens"], response_model=admin_answers.TokensAnswer)
def tokens(known: Known, _: Admin) -> dict[str, Any]:
    """Lists the tokens, without their secret text."""
    return {"tokens": [_told(one) for one in known.principals.tokens()]}


@routes.post("/tokens", tags=["tokens"], status_code=201, response_model=admin_answers.NewTokenAnswer)
def make_token(known: Known, who: Admin, request: Request, body: TokenBody) -> dict[str, Any]:
    """Makes a token. Its secret text is in this answer and nowhere else."""
    try:
        ends = read_expiry(body.expires, time.time())
    except UsageError as error:
        raise FaultsFound(faults_of(error, "expires")) from None
    with noted(
        known, request, who, "token made", name=body.name, role=body.role, **({"expires_at": ends} if ends else {})
    ):
        made, text = known.principals.make_token(body.name, role_of(body.role), ends)
        return {**_told(made), "token": text}


@routes.delete("/tokens/{token_id}", tags=["tokens"], status_code=204)
def revoke(known: Known, who: Admin, request: Request, token_id: str) -> None:
    """Revokes a token at once."""
    with noted(known, request, who, "token revoked", token_id=token_id[:100]):
        if not known.principals.revoke(token_id):
            raise Refused(404, "there is no token with this id")


@routes.get("/users", tags=["users"], response_model=admin_answers.UsersAnswer)
def users(known: Known, _: Admin) -> dict[str, Any]:
    """Lists the users who sign in to the page with a password."""
    return {"users": [_shown(one) for one in known.principals.users()]}


@routes.put("/users/{name}", tags=["users"], response_model=admin_answers.UserAnswer)
def set_user(known: Known, who: Admin, request: Request, name: Name, body: UserBody) -> dict[str, Any]:
    """Adds a user, or gives one a new password and role. Sessions that began with the old password end."""
    name, password, role = checked_name(name), checked(body.password.get_secret_value()), role_of(body.role)
    with noted(known, request, who, "user set", name=name, role=role.word):
        return _shown(known.principals.set_user(name, role, hashed(password)))


@routes.delete("/users/{name}", tags=["users"], status_code=204)
def remove_user(known: Known, who: Admin, request: Request, name: Name) -> None:
    """Removes a user at once, with all sessions."""
    with noted(known, request, who, "user removed", name=name):
        if not known.principals.remove_user(name):
            raise Refused(404, "there is no user of this name")


@routes.get("/sessions", tags=["users"], response_model=admin_answers.SessionsAnswer)
def sessions(known: Known, _: Admin) -> dict[str, Any]:
    """Lists browsers that are signed in, newest first."""
    return {
        "sessions": [
            {
                "id": one.session_id,
                "name": one.principal.name,
                "principal_id": one.principal.principal_id,
                "role": one.principal.role.word,
                "began_at": one.began_at,
            }
            for one in known.sessions.all()
        ]
    }


@routes.delete("/sessions/{session_id}", tags=["users"], status_code=204)
def end_session(known: Known, who: Admin, request: Request, session_id: str) -> None:
    """Signs a browser out; given a name instead of an id, all sessions of that person."""
    with noted(known, request, who, "sessions ended", of=session_id[:200]):
        if not known.sessions.end_of(session_id):
            raise Refused(404, "nobody is signed in so")


def _shown(user: User) -> dict[str, Any]:
    return {"name": user.name, "role": user.role.word, "set_at": user.set_at}


def _told(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.token_id,
        "name": token.name,
        "role": token.role.word,
        "created_at": token.created_at,
        "expires_at": token.expires_at or None,
    }
