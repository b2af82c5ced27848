"""What somebody has yet to be told: it stays until they have been."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from .. import clock
from ..extensions import Base
from .columns import Id, Moment, Text, Word

# What could not be told is tried again after a minute, two, four and so on; what nobody could be
# told of for a day, the pages have shown for as long. The first pause is longer than sending takes.
FIRST_PAUSE, LONGEST_PAUSE, GIVE_UP_SECONDS = 60, 3600, 86400


class Untold:
    """News since `at`. `tried_at` is when a process last took it to tell it, the `attempts`th time.

    It is taken in a transaction of its own, so that of several processes one tells; one that dies
    meanwhile leaves it to whoever looks after a pause. So it is told at least once, and twice only
    where somebody died between telling it and noting that.
    """

    at: Mapped[Moment] = mapped_column(default=clock.now)
    attempts: Mapped[int] = mapped_column(default=0)
    tried_at: Mapped[Moment | None]

    @property
    def is_due(self) -> bool:
        """Whether nobody is telling it at this moment, or has just failed to."""
        pause = min(FIRST_PAUSE * 2 ** min(self.attempts - 1, 10), LONGEST_PAUSE)
        return self.tried_at is None or clock.is_over(self.tried_at, pause)

    @property
    def is_too_old(self) -> bool:
        """Whether nobody could be told for so long that it is no news any more."""
        return clock.is_over(self.at, GIVE_UP_SECONDS)

    def take(self) -> None:
        """Keep it from others for a while."""
        self.attempts, self.tried_at = self.attempts + 1, clock.now()


class NodeAlert(Untold, Base):
    """Something that happened to a node, until somebody has been told of it by `way`.

    It names the node rather than belonging to it: that one was removed meanwhile is no secret.
    """

    __tablename__ = "node_alerts"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[Id]
    way: Mapped[Word]  # mail or webhook
    event: Mapped[Word]
    node: Mapped[Word]
    state: Mapped[Word]  # of the node, then


class Notice(Untold, Base):
    """A mail to somebody of the panel, until a server has taken it. Nothing of it is secret."""

    __tablename__ = "notices"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[Id]
    recipient: Mapped[Text]
    subject: Mapped[Text]
    text: Mapped[str]
