"""What an operation is, and the one place that checks the right, writes the audit row, raises the
revision and commits.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from types import NoneType
from typing import Any, Generic, Literal, TypeVar, cast, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ..caller import Caller
from ..database import write_transaction
from ..errors import Conflict, Forbidden, Invalid, NotFound, nameable
from ..models.feed import raise_revision, record
from ..passwords import NewPassword
from . import held
from .results import Changed, sync_of
from .seen import Shown, refuse_another

Result = TypeVar("Result")
_WHOLE = re.compile("-?(?:0|[1-9][0-9]{0,17})")
Who = Literal["project", "admin", "self"]
# What an operation is about, in this order.
_SUBJECTS = ("email", "domain", "name", "token_id", "call_id", "client", "passkey_id")

OPERATIONS: dict[str, Operation[Any]] = {}


class Operation(Generic[Result]):
    """One verb of the product, callable with a caller and its input as it came.

    `reads` changes nothing, `destroys` takes something away, `adds_up` makes something anew each
    time; `takes_away` tells by caller and arguments whether a call of one that does not destroy
    does so in effect, for approvals. `first` runs before the transaction, for refusals that need no
    lock and for work that is too slow to hold one; `shows` tells what it would change, as a page
    showed it before; `is_internal` keeps it from programs and assistants.
    """

    def __init__(
        self,
        function: Callable[..., Result],
        *,
        who: Who,
        answers: Any = None,
        title: str = "",
        reads: bool = False,
        destroys: bool = False,
        adds_up: bool = False,
        takes_away: Callable[[Caller, dict[str, Any]], bool] | None = None,
        status: int = 200,
        first: Callable[..., None] | None = None,
        shows: Callable[[Caller, dict[str, Any]], Shown] | None = None,
        is_internal: bool = False,
    ) -> None:
        self.function = function
        self.name = function.__name__.replace("_", "-")
        self.tool = f"email_account_{function.__name__}"
        self.description = inspect.cleandoc(function.__doc__ or "")
        self.who = who
        self.answers = answers
        self.title = title
        self.reads = reads
        self.destroys = destroys
        self.adds_up = adds_up
        self.takes_away = takes_away or (lambda _caller, _arguments: destroys)
        self.status = status
        self.first = first
        self.shows = shows
        self.is_internal = is_internal
        self.input = _input_model(function)

    def __call__(self, caller: Caller, seen: str = "", /, **values: object) -> Result:
        """Check the right, read the values, do it. Raises OperationError, and then did nothing.

        `seen` is the digest of what it would change as a page showed it; without, it is changed
        whatever it has become since.
        """
        self.refuse_who_may_not(caller)
        arguments = self._read(values)
        if self.reads:
            return self.function(caller, **arguments)
        # What an assistant is answered may be that its call waits, in place of what is declared.
        if caller.is_assistant and (told := held.known(self, caller, arguments)):
            return cast(Result, told)
        if self.first:
            self.first(caller, **arguments)
        if caller.is_assistant and (project := held.project_that_decides(self, caller, arguments)):
            return cast(Result, self._hold(caller, arguments, project))
        return self._change(caller, arguments, seen)

    def kept(self, values: dict[str, Any], password_hash: str | None) -> dict[str, Any]:
        """The arguments of a call that was held: its values as JSON, its password as a hash."""
        if password_hash:
            values = {**values, "password": NewPassword.kept(password_hash)}
        return self._read(values)

    def value_of_text(self, name: str, text: str) -> object:
        """The value that a text from a query or command line stands for in this field.

        A text that is no number or boolean is left as it is, for the validation to refuse.
        """
        kind = self.properties.get(name, {}).get("type")
        if kind == "integer" and _WHOLE.fullmatch(text):
            return int(text)
        if kind == "boolean" and text in ("true", "false"):
            return text == "true"
        return text

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        """The input's JSON Schema (2020-12), in the dialect of OpenAPI 3.1 and MCP."""
        schema = self.input.model_json_schema()
        for field in schema["properties"].values():
            del field["title"]  # only the name again
            if field.get("default", ...) is None:
                del field["default"]  # left out is not null
        return schema

    @property
    def may_be_held(self) -> bool:
        """Whether an assistant's call can be made to wait for a person: it changes a project."""
        takes_a_domain = self.destroys and "domain" in self.input.model_fields
        return not self.reads and (self.who == "project" or takes_a_domain)

    @property
    def properties(self) -> dict[str, dict[str, Any]]:
        """The JSON Schema of each input field."""
        properties: dict[str, dict[str, Any]] = self.input_schema["properties"]
        return properties

    def refuse_who_may_not(self, caller: Caller) -> None:
        """Raises Forbidden, NotFound."""
        if self.who == "admin" and not caller.is_admin:
            raise Forbidden("Only an admin can do this.")
        if not self.reads and not caller.may_write:
            raise Forbidden("This token may read, but not change anything.")
        if self.who == "project" and caller.project_id is None:
            raise NotFound("PROJECT_NOT_FOUND", "Say in which project to do this.")

    def _read(self, values: dict[str, object]) -> dict[str, Any]:
        for name, value in values.items():
            if value is None:
                raise Invalid(
                    "null is not a value here; leave the field out.", field=nameable(name)
                )
        try:
            read = self.input.model_validate(values)
        except ValidationError as error:
            raise _invalid(error) from None  # pydantic's own text shows what came in
        return {name: getattr(read, name) for name in self.input.model_fields}

    def _change(self, caller: Caller, arguments: dict[str, Any], seen: str) -> Result:
        try:
            with write_transaction() as session:
                caller = caller.renewed()
                return self.carry_out(session, caller, arguments, seen)
        except IntegrityError as error:
            raise conflict_of(error) from error

    def carry_out(
        self, session: Session, caller: Caller, arguments: dict[str, Any], seen: str = ""
    ) -> Result:
        """Do it within a transaction: the right, the body, the revision and the audit row."""
        self.refuse_who_may_not(caller)
        if seen and self.shows:
            refuse_another(seen, self.shows(caller, arguments))
        result = self.function(caller, **arguments)
        revision = raise_revision(session)
        self._record(session, caller, arguments, result, revision)
        if isinstance(result, Changed):
            result.sync = sync_of(session, result.mailbox, revision)
        return result

    def _hold(self, caller: Caller, arguments: dict[str, Any], project_id: int) -> held.Held:
        """Keep the call until a person decides; what would be refused is refused now."""
        try:
            with suppress(_Undone), write_transaction() as session:
                self.carry_out(session, caller.renewed(), arguments)
                raise _Undone
        except IntegrityError as error:
            raise conflict_of(error) from error
        return held.hold(self, caller, arguments, project_id)

    def _record(
        self,
        session: Session,
        caller: Caller,
        arguments: dict[str, Any],
        result: Result,
        revision: int,
    ) -> None:
        given = {name: value for name, value in arguments.items() if value is not None}
        subject = next((given[name] for name in _SUBJECTS if name in given), "")
        # The project an admin happens to act in has nothing to do with what admins change.
        project_id = caller.project_id if self.who == "project" else given.get("project_id")
        if not subject and isinstance(result, Changed):  # found by a link, not by its name
            subject, project_id = result.mailbox.email, result.mailbox.domain.project_id
        record(
            session,
            actor=caller.actor,
            approved_by=caller.approved_by,
            address=caller.address,
            project_id=project_id,
            action=self.name,
            object=str(subject),
            given=" ".join(sorted(given)),
            revision=revision,
        )


class _Undone(Exception):
    """Ends a transaction that only was to show whether something could be done."""


def operation(
    **options: Any,
) -> Callable[[Callable[..., Result]], Operation[Result]]:
    """Make a function an operation and enter it in OPERATIONS, in the order of the source."""

    def register(function: Callable[..., Result]) -> Operation[Result]:
        made = Operation(function, **options)
        OPERATIONS[made.name] = made
        return made

    return register


def _input_model(function: Callable[..., Any]) -> type[BaseModel]:
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {
        name: (_without_none(hints[name]), ... if default is inspect.Parameter.empty else default)
        for name, default in _inputs(function)
    }
    title = "".join(part.title() for part in function.__name__.split("_")) + "Input"
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    return create_model(title, __config__=config, **fields)


def _inputs(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    _caller, *inputs = inspect.signature(function).parameters.values()
    return [(parameter.name, parameter.default) for parameter in inputs]


def _without_none(hint: Any) -> Any:
    """`X | None` says that a field may be left out; its value is an X."""
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    return kinds[0] if NoneType in get_args(hint) else hint


def _invalid(error: ValidationError) -> Invalid:
    """The first thing that is wrong, in a sentence that does not repeat what came in.

    An unknown field goes first: it may be the misspelt name of one that is missing.
    """
    errors = error.errors(include_input=False, include_url=False)
    details = min(errors, key=lambda one: one["type"] != "extra_forbidden")
    field = nameable(str(details["loc"][0])) if details["loc"] else None
    messages = {
        "missing": "This field is required.",
        "extra_forbidden": "There is no such field here; leave it out.",
    }
    return Invalid(messages.get(details["type"], details["msg"]), field=field)


_UNIQUE = {
    "mailboxes": ("MAILBOX_EXISTS", "There already is a mailbox with this address.", "email"),
    "domains": ("DOMAIN_EXISTS", "This domain is already registered.", "domain"),
    "nodes": ("NODE_EXISTS", "There already is a node with this name.", "name"),
    "passkeys": ("PASSKEY_EXISTS", "This passkey was added already.", None),
    "people": ("PERSON_EXISTS", "There already is a person with this address.", "email"),
}


def conflict_of(error: IntegrityError) -> Conflict | IntegrityError:
    """What two changes at once ran into: the database's own last word on uniqueness."""
    text = str(error.orig)
    for table, (code, message, field) in _UNIQUE.items():
        # SQLite: "UNIQUE constraint failed: mailboxes.email"; PostgreSQL: "uq_mailboxes_email"
        if f"failed: {table}." in text or f"uq_{table}_" in text:
            return Conflict(code, message, field=field)
    return error
