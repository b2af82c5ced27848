"""Passkeys: signing in by one, proving who one is, and one's own. They need JavaScript."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask_login import current_user

from .. import passkeys, sessions
from ..errors import Conflict, Malformed, OperationError
from ..operations import OPERATIONS
from ..operations.passkeys import ask_for_new, own
from ..strict_json import parse_object
from . import auth
from .access import access, safe_target
from .forms import PasskeyForm, SignInForm
from .pages import go, me, never_stored, render

bp = Blueprint("passkeys", __name__)

_DEPTH = 6  # of what a browser says of a passkey
_MINE = "/account/two-factor/passkeys"


@bp.post("/sign-in/passkey/options")
@access("everyone")
def ask() -> Response:
    """What the browser asks the device for; the same for everybody."""
    place = auth.from_where()
    auth.remember_browser()
    return _options(sessions.ask_passkey(place["address"], place["browser"]))


@bp.post("/sign-in/passkey")
@access("everyone")
def enter() -> Response:
    """Begin a session, and go where somebody wanted to be."""
    target = safe_target(request.form.get("next"))
    try:
        credential = sessions.sign_in_by_passkey(answer_of_device(), **auth.from_where())
    except OperationError as error:
        form = SignInForm(formdata=None, data={"next": target})
        form.refuse(error)
        page = render("auth/sign_in.html", status=error.status, form=form)
        return auth.on_the_way(target, page)
    begun = sessions.Begun(credential, is_half=False)
    return auth.on_the_way(target, auth.to(auth.begin(begun, target)))


@bp.post("/account/passkeys/options")
@access("person")
def ask_for_proof() -> Response:
    """What the browser asks the device for, to prove who is signed in."""
    return _options(sessions.ask_proof_by_passkey(me(), current_user.session_id))


@bp.post(f"{_MINE}/begin")
@access("person", without_two_factor=True, asks_for_proof=True)
def begin() -> Response:
    """Ask for a name and the device."""
    return _new_page(PasskeyForm(formdata=None))


@bp.post(_MINE)
@access("person", without_two_factor=True)
def add() -> Response:
    """Keep what the device has made."""
    form = PasskeyForm()
    try:
        added = OPERATIONS["add-passkey"](
            me(),
            name=form.name.data or "",
            answer=answer_of_device(),
            keep=current_user.session_id,
        )
    except OperationError as error:
        if not current_user.is_proven:
            raise  # asking the device again begins with a proof, as it did the first time
        form.refuse(error)
        return _new_page(form, status=error.status)
    if added.codes:
        return never_stored(render("two_factor/codes.html", codes=added.codes, is_new=True))
    return go("two_factor.index", said="The passkey is added.")


@bp.get(f"{_MINE}/<int:passkey_id>")
@access("person")
def show(passkey_id: int) -> Response:
    """One of them: its name, and removing it."""
    passkey = own(me(), passkey_id)
    return render(
        "two_factor/passkey.html", passkey=passkey, form=PasskeyForm(data={"name": passkey.name})
    )


@bp.post(f"{_MINE}/<int:passkey_id>/name")
@access("person")
def rename(passkey_id: int) -> Response:
    """Another name."""
    form = PasskeyForm()
    try:
        OPERATIONS["rename-passkey"](me(), passkey_id=passkey_id, name=form.name.data or "")
    except OperationError as error:
        passkey = own(me(), passkey_id)
        form.refuse(error)
        return render("two_factor/passkey.html", status=error.status, passkey=passkey, form=form)
    return go("two_factor.index", said="The passkey has another name.")


@bp.post(f"{_MINE}/<int:passkey_id>/remove")
@access("person", asks_for_proof=True)
def remove(passkey_id: int) -> Response:
    """Remove it."""
    try:
        OPERATIONS["remove-passkey"](me(), passkey_id=passkey_id)
    except Conflict as error:
        passkey = own(me(), passkey_id)
        form = PasskeyForm(formdata=None, data={"name": passkey.name})
        form.refuse(error)
        return render("two_factor/passkey.html", status=error.status, passkey=passkey, form=form)
    return go("two_factor.index", said="The passkey is removed.")


def answer_of_device() -> passkeys.Answer:
    """What the browser brought of it. Raises WrongPasskey."""
    text = request.form.get("passkey", "")
    try:
        return parse_object(text.encode(errors="surrogatepass"), depth=_DEPTH)
    except Malformed:
        raise sessions.WrongPasskey from None


def _options(options: dict[str, Any]) -> Response:
    return never_stored(jsonify(options))


def _new_page(form: PasskeyForm, status: int = 200) -> Response:
    options = ask_for_new(me(), current_user.session_id)
    return never_stored(
        render("two_factor/new_passkey.html", status=status, form=form, options=options)
    )
