"""Where people have signed in from: a browser by a cookie of its own, and a network address.

A sign-in from a browser or an address that somebody never used before is news to them. The first
of all is none: they have just been invited, or the panel has just begun to take notice.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import clock
from .credentials import BROWSER, digest, is_well_formed
from .database import write_transaction
from .extensions import db
from .models import KnownPlace
from .throttle import site_of

KEPT_DAYS = 180  # since it was last used


def note(person_id: int, browser: str, address: str, user_agent: str) -> None:
    """Remember where somebody has just signed in from, within a transaction that writes."""
    known, site = of_person(person_id), site_of(address)[:64]
    name = digest(browser) if is_well_formed(browser, BROWSER) else ""
    here = [place for place in known if (place.browser, place.site) == (name, site)]
    if here:
        here[0].seen_at = clock.now()
        return
    is_known = bool(name) and name in {place.browser for place in known}
    place = KnownPlace(person_id=person_id, browser=name, site=site)
    place.address, place.user_agent = address[:64], user_agent[:200]
    place.is_news = bool(known) and not (is_known and site in {place.site for place in known})
    db.session.add(place)


def is_known(person_id: int, browser: str, address: str) -> bool:
    """Whether somebody has signed in with this browser, or from this address, before."""
    name, site = digest(browser), site_of(address)
    return any(
        (place.browser == name or place.site == site) and not place.is_news
        for place in of_person(person_id)
    )


def of_person(person_id: int) -> Sequence[KnownPlace]:
    """All that are known of somebody."""
    return db.session.scalars(db.select(KnownPlace).where(KnownPlace.person_id == person_id)).all()


def news_of(person_id: int) -> Sequence[KnownPlace]:
    """What somebody has not said yet that it was them, the latest first."""
    query = db.select(KnownPlace).where(KnownPlace.person_id == person_id, KnownPlace.is_news)
    return db.session.scalars(query.order_by(KnownPlace.id.desc()).limit(5)).all()


def forget_old() -> None:
    """Let go of places that were not used for long."""
    over = clock.from_now(days=-KEPT_DAYS)
    with write_transaction() as session:
        session.execute(db.delete(KnownPlace).where(KnownPlace.seen_at < over))
