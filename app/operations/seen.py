"""What somebody saw before they changed it, so that nobody undoes what they never knew of.

A page's form sends every field back, also those its reader left alone. Somebody else may have
changed one meanwhile, by another page, a program or an assistant: saving would take that back, and
nobody would be told. So a form carries the digest of what it was filled from, and a change that
comes with another one than the present is refused, with what is there now. Programs name what
they mean to change and nothing else, and need none of this.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from ..errors import Conflict
from ..models import Domain, Mailbox, Node, Person, Project

Shown = dict[str, str]  # what a form shows, each thing by its name, in words


class ChangedMeanwhile(Conflict):
    """It is no longer as it was seen. `now` is the digest of what it is, for the next attempt."""

    def __init__(self, shown: Shown) -> None:
        listed = "; ".join(f"{name}: {value}" for name, value in shown.items())
        super().__init__(
            "CHANGED_MEANWHILE",
            f"Somebody else changed this after you opened the page. It is now: {listed}.",
            recovery="Nothing of yours is saved yet. Look at it again below, then save.",
        )
        self.now = digest_of(shown)


def digest_of(shown: Shown) -> str:
    """What stands for it in a form."""
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:32]


def refuse_another(seen: str, shown: Shown) -> None:
    """Raises ChangedMeanwhile when this is not what was seen."""
    if seen != digest_of(shown):
        raise ChangedMeanwhile(shown)


def of_mailbox(mailbox: Mailbox) -> Shown:
    """The settings of a mailbox."""
    return {
        "storage in MB": str(mailbox.quota_mb),
        "may sign in": _word(mailbox.can_login),
        "may receive mail": _word(mailbox.can_receive),
    }


def of_person(person: Person, projects: Iterable[Project]) -> Shown:
    """What somebody may do."""
    names = sorted(f"{project.name} ({project.id})" for project in projects)
    return {"projects": ", ".join(names) or "none", "admin": _word(person.is_admin)}


def of_node(node: Node) -> Shown:
    """What a node is called in public."""
    priority = "10" if node.mx_priority is None else str(node.mx_priority)
    return {"public name": node.host or "none", "priority in MX records": priority}


def of_domain(domain: Domain, project: str | None) -> Shown:
    """The project of a domain."""
    return {"project": f"{project} ({domain.project_id})" if project else "none"}


def of_home(home: Node | None) -> Shown:
    """The home node of a domain."""
    return {"home node": home.name if home else "none"}


def _word(is_so: bool) -> str:
    return "yes" if is_so else "no"
