"""Forms know the shape of their fields; what is allowed, the operations know."""

from __future__ import annotations

from typing import Any

from flask import g, request
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    Field,
    HiddenField,
    PasswordField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
)

from ..errors import Forbidden, NoLongerYours, OperationError
from ..operations.seen import ChangedMeanwhile


def _trimmed(text: str | None) -> str:
    """What people type has white space around it; programs are told to leave it out."""
    return (text or "").strip()


class Form(FlaskForm):  # type: ignore[misc]  # Flask-WTF ships no types
    """A form that can show an operation's refusal at the field it is about."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        """Flask-WTF takes JSON for a form as well, and fails where it is no object."""

        def wrap_formdata(self, form: FlaskForm, formdata: Any) -> Any:
            """What a page's form has sent."""
            return None if request.is_json else super().wrap_formdata(form, formdata)

    problems: list[str]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.problems = []

    def refuse(self, error: OperationError) -> None:
        """Show why the operation refused: at its field, else above the form.

        Who may not see the form any more is shown an error page instead of it.
        """
        if isinstance(error, Forbidden | NoLongerYours):
            raise error
        g.retry_after = error.retry_after
        sentence = error.message if not error.recovery else f"{error.message} {error.recovery}"
        field: Field | None = self._fields.get(error.field or "")
        if field is None or isinstance(field, HiddenField):
            self.problems.append(sentence)
        else:
            field.errors = [*field.errors, error.message]

    @property
    def wrong_fields(self) -> list[Field]:
        """The fields to mend, in the order of the page."""
        return [field for field in self if field.errors]


class SeenForm(Form):
    """A form that tells what it was filled from, so that saving undoes nobody else's change.

    One that is refused for such a change has been told of it: it may be sent again.
    """

    seen = HiddenField(default="")

    def refuse(self, error: OperationError) -> None:
        """The same; what has changed meanwhile is seen by then."""
        super().refuse(error)
        if isinstance(error, ChangedMeanwhile):
            self.seen.data = error.now


class SignInForm(Form):
    """Who, and the proof."""

    email = StringField("E-mail address", filters=[_trimmed])
    password = PasswordField("Password")
    next = HiddenField()


class CodeForm(Form):
    """The second step of signing in."""

    code = StringField("Code", filters=[_trimmed])
    next = HiddenField()


class ConfirmCodeForm(Form):
    """The first code of an authenticator app."""

    code = StringField("Code from the app", filters=[_trimmed])


class ProvenCodeForm(Form):
    """A password and a code, to change how one signs in."""

    password = PasswordField("Present password")
    code = StringField("Code from the app, or a recovery code", filters=[_trimmed])


class PasskeyForm(Form):
    """What somebody calls a passkey."""

    name = StringField("Name", filters=[_trimmed])


class ProofForm(Form):
    """Who one is, once more."""

    proof = PasswordField("Your password")


class MailboxForm(Form):
    """A new mailbox."""

    local_part = StringField("Address", filters=[_trimmed])
    domain = SelectField("Domain", choices=[], validate_choice=False)
    password = StringField("Password")
    quota_mb = StringField("Storage in MB", filters=[_trimmed])


class PasswordForm(Form):
    """Another password for a mailbox."""

    password = StringField("New password")


class MailboxSettingsForm(SeenForm):
    """What can be changed of a mailbox."""

    quota_mb = StringField("Storage in MB", filters=[_trimmed])
    can_login = BooleanField("May sign in")
    can_receive = BooleanField("May receive mail")


class ConfirmForm(Form):
    """The address, typed to confirm what cannot be undone."""

    typed = StringField("Type the address to confirm", filters=[_trimmed])


class TokenForm(Form):
    """A new token."""

    name = StringField("Name", filters=[_trimmed])
    scope = SelectField(
        "May",
        choices=[SelectChoice("write", "read and change"), SelectChoice("read", "only read")],
        default="write",
    )
    days = SelectField(
        "Ends",
        choices=[
            SelectChoice("30", "in 30 days"),
            SelectChoice("90", "in 90 days"),
            SelectChoice("365", "in a year"),
            SelectChoice("", "never"),
        ],
        default="90",
        validate_choice=False,
    )


class OwnPasswordForm(Form):
    """A person's own new password, and the present one."""

    present = PasswordField("Present password")
    password = PasswordField("New password")


class WelcomeForm(Form):
    """The password of somebody who comes by the one-time link."""

    password = PasswordField("Choose a password")


class NodeForm(Form):
    """A new node."""

    name = StringField("Name", filters=[_trimmed])
    ip_address = StringField("Address or network", filters=[_trimmed])


class PublicNameForm(SeenForm):
    """What a node is called in public."""

    host = StringField("Public name", filters=[_trimmed])
    mx_priority = StringField("Priority in MX records", filters=[_trimmed])


class RotateForm(Form):
    """For how long the present key of a node goes on working."""

    overlap_hours = StringField("The present key stops working", default="24")


class ConfirmNodeForm(Form):
    """A node's name, typed to confirm that it goes."""

    typed = StringField("Type the name to confirm", filters=[_trimmed])


class LinkDomainForm(Form):
    """A domain to link."""

    domain = StringField("Domain", filters=[_trimmed])


class AdminDomainForm(Form):
    """A domain, with or without a project."""

    domain = StringField("Domain name", filters=[_trimmed])
    project_id = SelectField("Project", choices=[], validate_choice=False)


class AssignForm(SeenForm):
    """The project a domain is to be in."""

    project_id = SelectField("Project", choices=[], validate_choice=False)


class HomeForm(SeenForm):
    """The node that is to be a domain's home."""

    node = SelectField("Home node", choices=[], validate_choice=False)


class ConfirmDomainForm(Form):
    """A domain's name, typed to confirm that it goes."""

    typed = StringField("Type the domain to confirm", filters=[_trimmed])


class ProjectForm(Form):
    """A new project."""

    name = StringField("Name", filters=[_trimmed])


class PersonForm(Form):
    """Somebody who is let in."""

    email = StringField("E-mail address", filters=[_trimmed])
    projects = SelectMultipleField("Projects", choices=[], validate_choice=False)
    is_admin = BooleanField("Admin: may see and change everything")


class PersonSettingsForm(SeenForm):
    """What somebody may do."""

    projects = SelectMultipleField("Projects", choices=[], validate_choice=False)
    is_admin = BooleanField("Admin: may see and change everything")


class ConsentForm(ProofForm):
    """How far an assistant may go; its own request is in the address of the page."""

    reach = SelectField("Project", choices=[], validate_choice=False)
    may = SelectField(
        "It may",
        choices=[SelectChoice("write", "read and change"), SelectChoice("read", "only read")],
        validate_choice=False,
    )
