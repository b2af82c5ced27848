"""Letting go of what is over: codes, tokens, consents without any, clients nobody lets in."""

from __future__ import annotations

from sqlalchemy import delete, select

from .. import clock
from ..database import write_transaction
from ..models import Assistant, OAuthClient, OAuthCode, OAuthToken

UNUSED_DAYS, FORGOTTEN_DAYS = 1, 90


def forget_what_is_over() -> None:
    """Harmless at any time and by several at once. Raises Busy.

    What was used up is kept until it would have expired, to be known when it returns. A client
    that somebody once let in keeps its name for a while after: it may come back by it.
    """
    a_day_ago = clock.from_now(days=-UNUSED_DAYS)
    long_ago = clock.from_now(days=-FORGOTTEN_DAYS)
    has_code = select(OAuthCode.id).where(OAuthCode.assistant_id == Assistant.id).exists()
    has_token = select(OAuthToken.id).where(OAuthToken.assistant_id == Assistant.id).exists()
    is_let_in = select(Assistant.id).where(Assistant.client_id == OAuthClient.id).exists()
    is_stale = (OAuthClient.used_at.is_(None) & (OAuthClient.created_at <= a_day_ago)) | (
        OAuthClient.used_at <= long_ago
    )
    with write_transaction() as session:
        session.execute(delete(OAuthCode).where(OAuthCode.expires_at <= a_day_ago))
        session.execute(delete(OAuthToken).where(OAuthToken.expires_at <= clock.now()))
        is_empty = ~has_code & ~has_token & (Assistant.created_at <= a_day_ago)
        session.execute(
            delete(Assistant).where(is_empty).execution_options(synchronize_session=False)
        )
        session.execute(
            delete(OAuthClient)
            .where(is_stale, ~is_let_in)
            .execution_options(synchronize_session=False)
        )
