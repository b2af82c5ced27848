"""Two-factor sign-in, for oneself: setting it up with an authenticator app, and turning it off."""

from __future__ import annotations

from typing import Any

import segno
from flask import Blueprint, Response
from flask_login import current_user

from .. import totp
from ..errors import OperationError
from ..operations import OPERATIONS
from ..operations.two_factor import state_of
from .access import access
from .forms import ConfirmCodeForm, Form, ProvenCodeForm
from .pages import go, me, never_stored, render

bp = Blueprint("two_factor", __name__, url_prefix="/account/two-factor")

_QUIET_ZONE = 4  # modules of white around the symbol (ISO/IEC 18004, section 6.3.8)


@bp.get("")
@access("person", without_two_factor=True)
def index() -> Response:
    """Whether it is on, and what can be done."""
    return _page(ProvenCodeForm(formdata=None))


@bp.post("/begin")
@access("person", without_two_factor=True, asks_for_proof=True)
def begin() -> Response:
    """Make a secret, and show it once."""
    secret = OPERATIONS["begin-two-factor"](me()).secret
    address = totp.address_for_apps(secret, current_user.person.email, "Mailcote")
    code = segno.make_qr(address, error="M")
    picture = code.svg_data_uri(scale=4, border=_QUIET_ZONE, dark="#000", light="#fff")
    return _set_up_page(
        ConfirmCodeForm(formdata=None),
        secret=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        picture=picture,
        width=code.symbol_size(scale=4, border=_QUIET_ZONE)[0],
    )


@bp.post("/confirm")
@access("person", without_two_factor=True)
def confirm() -> Response:
    """Turn it on, and show the recovery codes once."""
    form = ConfirmCodeForm()
    try:
        codes = OPERATIONS["confirm-two-factor"](
            me(), code=form.code.data or "", keep=current_user.session_id
        )
    except OperationError as error:
        form.refuse(error)
        return _set_up_page(form, status=error.status)
    return _codes_page(codes, is_new=True)


@bp.post("/recovery-codes")
@access("person")
def renew_codes() -> Response:
    """Ten other recovery codes, shown once."""
    form = ProvenCodeForm()
    try:
        codes = OPERATIONS["renew-recovery-codes"](
            me(), password=form.password.data or "", code=form.code.data or ""
        )
    except OperationError as error:
        form.refuse(error)
        return _page(form, status=error.status)
    return _codes_page(codes)


@bp.post("/end")
@access("person")
def end() -> Response:
    """Turn it off."""
    form = ProvenCodeForm()
    try:
        OPERATIONS["end-two-factor"](
            me(), password=form.password.data or "", code=form.code.data or ""
        )
    except OperationError as error:
        form.refuse(error)
        return _page(form, status=error.status)
    is_on = bool(state_of(me()).passkeys)
    said = "The authenticator app is off." if is_on else "Two-factor sign-in is off."
    return go("two_factor.index", said=said)


def _page(form: Form, status: int = 200) -> Response:
    state = state_of(me())
    return render(
        "two_factor/index.html",
        status=status,
        form=form,
        factor=state.factor,
        passkeys=state.passkeys,
        left=state.left,
        is_demanded=current_user.is_two_factor_demanded,
    )


def _set_up_page(form: ConfirmCodeForm, status: int = 200, **shown: Any) -> Response:
    return never_stored(render("two_factor/set_up.html", status=status, form=form, **shown))


def _codes_page(codes: list[str], *, is_new: bool = False) -> Response:
    return never_stored(render("two_factor/codes.html", codes=codes, is_new=is_new))
