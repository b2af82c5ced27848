"""What nodes report: what they hold and how they are doing, and what they know of mailboxes.

None of it is a change of what nodes must know, but for the acknowledgement of purges, which is an
operation like any other. A power cut may undo the rest: nodes report again and again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from sqlalchemy import TextClause, text

from .. import clock
from ..caller import Caller
from ..database import write_transaction
from ..dns.judge import visible
from ..errors import Invalid, NotFound, nameable
from ..extensions import db
from ..fields import NodeName
from ..models import Feed, Node, PurgeAck, PurgeOrder
from .operation import operation

MANY = 100_000  # rows of one kind in one report; a node tells what is left in the next
ROWS_AT_A_TIME = 5000  # nobody else can write for longer than these take
_LARGEST = 2**53 - 1  # what JSON readers agree on (RFC 8259, section 6)
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def _moment(value: object) -> str:
    """A moment as it is stored, from text of that form or seconds since 1970."""
    if type(value) is int:
        try:
            value = datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        except (OverflowError, OSError, ValueError):
            raise ValueError("no moment") from None
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError("no moment")
    clock.seconds_since(value)  # refuses the 31st of February
    return min(value, clock.now())  # a Pi has no clock of its own, and may be ahead


MailboxId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}\z")]
Amount = Annotated[int, Field(ge=0, le=_LARGEST)]


def _shown(most: int) -> AfterValidator:
    """Pages show it: what cannot be seen, or turns the rest around, becomes a number."""
    return AfterValidator(lambda value: visible(value, most))


Fact = Annotated[str, Field(max_length=200), _shown(200)]
Story = Annotated[str, Field(max_length=1024), _shown(1024)]
Moment = Annotated[str, BeforeValidator(_moment)]


def _rows(most: int) -> Any:
    """Of a list: so many at most, and none is looked at after one that is wrong. All that is wrong
    with the rows of a hostile report would take a gigabyte to tell."""
    return Field(max_length=most, fail_fast=True)


_NO_SUCH_FIELD = "There is no such field in a report."


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Counts(_Strict):
    """How many rows of each kind a node holds; the last two where it is a backup for others."""

    domains: Amount
    users: Amount
    aliases: Amount
    relays: Amount = 0
    recipients: Amount = 0


class Rejected(_Strict):
    """A row that a node could not use."""

    email: Annotated[str, Field(max_length=320), _shown(320)]
    why: Story


class Usage(_Strict):
    """How full a mailbox is."""

    id: MailboxId
    bytes: Amount
    messages: Amount


class LastLogin(_Strict):
    """When a mailbox's owner last signed in."""

    id: MailboxId
    at: Moment


class Report(_Strict):
    """A report. Epoch and revision are null for a node that holds nothing yet."""

    epoch: Annotated[str, Field(pattern=r"^[0-9a-f-]{36}\z")] | None
    revision: Annotated[int, Field(ge=0, le=999_999_999)] | None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}\z")] | None = None
    counts: Counts | None = None
    rejected: Annotated[list[Rejected], _rows(1000)] = []
    agent_version: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+-]{1,32}\z")] | None = None
    dovecot_version: Fact | None = None
    postfix_version: Fact | None = None
    os: Fact | None = None
    disk_free_mb: Amount | None = None
    purged: Annotated[list[MailboxId], _rows(MANY)] = []
    usage: Annotated[list[Usage], _rows(MANY)] = []
    last_login: Annotated[list[LastLogin], _rows(MANY)] = []
    error: Story | None = None


def read(values: dict[str, Any]) -> Report:
    """A report from its JSON. Raises Invalid."""
    if unknown := next((name for name in values if name not in Report.model_fields), None):
        raise Invalid(_NO_SUCH_FIELD, field=nameable(unknown))
    try:
        report = Report.model_validate(values)
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False)
        wrong = min(errors, key=lambda one: one["type"] != "extra_forbidden")
        known = {
            "missing": "This field is required.",
            "extra_forbidden": _NO_SUCH_FIELD,
        }
        message = known.get(wrong["type"], "This is not what a report has here.")
        raise Invalid(message, field=nameable(str(wrong["loc"][0]))) from None
    if (report.epoch is None) != (report.revision is None):
        raise Invalid("An epoch and a revision go together.", field="revision")
    return report


def take(node_id: int, report: Report, *, has_drifted: bool | None) -> None:
    """Keep what a node says of itself and of mailboxes; `has_drifted` None leaves what is known.

    Raises Busy.
    """
    with write_transaction(is_lasting=False) as session:
        node = session.get(Node, node_id)
        if node is None:
            return
        if not _is_overtaken(node, report):
            _note_state(node, report, session.scalars(db.select(Feed)).one())
            if has_drifted is not None:
                node.has_drifted = has_drifted
    # A report that was overtaken on its way says this too, and nodes say it only once.
    now = clock.now()
    its = {"node": node_id}
    _write(_USAGE, [{**one.model_dump(), **its, "at": now} for one in report.usage])
    _write(_PERCENT_USED, [{"id": one.id, "bytes": one.bytes, **its} for one in report.usage])
    _write(_LAST_LOGIN, [{**one.model_dump(), **its} for one in report.last_login])


def _is_overtaken(node: Node, report: Report) -> bool:
    """Whether the node has said since that it holds something newer."""
    if report.epoch is None or report.epoch != node.applied_epoch:
        return False
    return (report.revision or 0) < (node.applied_revision or 0)


def _note_state(node: Node, report: Report, feed: Feed) -> None:
    node.reported_at = clock.now()
    node.reported = report.model_dump(include={"epoch", "revision", "sha256"})
    node.reported["counts"] = report.counts and report.counts.model_dump(exclude_unset=True)
    node.rejected = [one.model_dump() for one in report.rejected[:50]]
    for name in ("dovecot_version", "postfix_version", "os", "disk_free_mb", "error"):
        setattr(node, name, getattr(report, name))
    node.agent_version = report.agent_version or node.agent_version
    is_of_another_epoch = report.epoch != feed.epoch
    if report.revision is None or (is_of_another_epoch and node.applied_epoch == feed.epoch):
        return
    if is_of_another_epoch or report.revision <= feed.revision:
        node.applied_epoch, node.applied_revision = report.epoch, report.revision


# Of mailboxes that the node serves: a backup for others knows their ids, but has no word on them.
_USAGE = text(
    "INSERT INTO mailbox_usage (mailbox_id, bytes, messages, used_at) "
    "SELECT id, CAST(:bytes AS BIGINT), CAST(:messages AS BIGINT), CAST(:at AS VARCHAR(20)) "
    "FROM mailboxes "
    "WHERE id = :id AND EXISTS (SELECT 1 FROM domains WHERE domains.id = mailboxes.domain_id "
    "AND (home_node_id IS NULL OR home_node_id = :node)) "
    "ON CONFLICT (mailbox_id) DO UPDATE SET "
    "bytes = excluded.bytes, messages = excluded.messages, used_at = excluded.used_at"
)
_PERCENT_USED = text(
    "UPDATE mailboxes "
    "SET percent_used = CAST(:bytes AS BIGINT) * 100 / (CAST(quota_mb AS BIGINT) * 1048576) "
    "WHERE id = :id AND EXISTS (SELECT 1 FROM domains WHERE domains.id = mailboxes.domain_id "
    "AND (home_node_id IS NULL OR home_node_id = :node)) "
    "AND COALESCE(percent_used, -1) "
    "<> CAST(:bytes AS BIGINT) * 100 / (CAST(quota_mb AS BIGINT) * 1048576)"
)
_LAST_LOGIN = text(
    "INSERT INTO mailbox_usage (mailbox_id, last_login_at) "
    "SELECT id, CAST(:at AS VARCHAR(20)) FROM mailboxes "
    "WHERE id = :id AND EXISTS (SELECT 1 FROM domains WHERE domains.id = mailboxes.domain_id "
    "AND (home_node_id IS NULL OR home_node_id = :node)) "
    "ON CONFLICT (mailbox_id) DO UPDATE SET last_login_at = excluded.last_login_at "
    "WHERE mailbox_usage.last_login_at IS NULL "
    "OR mailbox_usage.last_login_at < excluded.last_login_at"
)


def _write(statement: TextClause, rows: Sequence[dict[str, Any]]) -> None:
    """Write what is told of mailboxes, in the order of their ids; of others nothing is kept."""
    rows = sorted(rows, key=lambda row: str(row["id"]))  # two nodes at once lock them alike
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        with write_transaction(is_lasting=False) as session:
            session.execute(statement, rows[start : start + ROWS_AT_A_TIME])


@operation(who="admin", is_internal=True)
def acknowledge_purge(
    caller: Caller,  # noqa: ARG001
    *,
    name: NodeName,
    mailboxes: list[MailboxId],
) -> None:
    """Take a node's word that it has removed the mail it was told to remove.

    An order that all nodes have carried out is done. Ids without an order are left alone.
    """
    node = db.session.scalar(db.select(Node).where(Node.name == name).with_for_update())
    if node is None:
        raise NotFound("NODE_NOT_FOUND", f"There is no node {name}.", field="name")
    others = _holders() - {node.id}
    for order in _orders(mailboxes):
        acks = set(
            db.session.scalars(
                db.select(PurgeAck.node_id).where(PurgeAck.mailbox_id == order.mailbox_id)
            )
        )
        if others <= acks:
            _is_done(order)
        elif node.id not in acks:
            db.session.add(PurgeAck(mailbox_id=order.mailbox_id, node_id=node.id))


def _holders() -> set[int]:
    """The nodes that have to remove mail; a lost one will not."""
    return set(db.session.scalars(db.select(Node.id).where(Node.lost_at.is_(None))))


def finish_purges() -> None:
    """Let go of the orders that all nodes have carried out; one that had not may be gone."""
    nodes = _holders()
    acks: dict[str, set[int]] = {}
    for mailbox_id, node_id in db.session.execute(db.select(PurgeAck.mailbox_id, PurgeAck.node_id)):
        acks.setdefault(mailbox_id, set()).add(node_id)
    for order in _orders([key for key, done_by in acks.items() if nodes <= done_by]):
        _is_done(order)


def _orders(mailboxes: Sequence[str]) -> Iterator[PurgeOrder]:
    for start in range(0, len(mailboxes), 500):
        yield from db.session.scalars(
            db.select(PurgeOrder)
            .where(
                PurgeOrder.mailbox_id.in_(mailboxes[start : start + 500]), PurgeOrder.is_released
            )
            .order_by(PurgeOrder.mailbox_id)
            .with_for_update()
        ).all()


def _is_done(order: PurgeOrder) -> None:
    db.session.execute(db.delete(PurgeAck).where(PurgeAck.mailbox_id == order.mailbox_id))
    db.session.delete(order)
