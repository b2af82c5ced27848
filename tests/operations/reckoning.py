"""What each operation has to do, reckoned simply: from the contract, and not from the code."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Box:
    """A mailbox as it should be."""

    domain: str
    is_active: bool = True
    quota_mb: int = 1024
    can_login: bool = True
    can_receive: bool = True
    is_due: bool = False


@dataclass
class Reckoning:
    """What the panel should hold. Each verb answers the code of a refusal, or None."""

    revision: int
    entries: int
    owners: dict[str, int | None] = field(default_factory=dict)
    enabled: set[str] = field(default_factory=set)
    boxes: dict[str, Box] = field(default_factory=dict)
    waiting: int = 0  # purge orders that nodes are not told of yet
    waiting_and_due: int = 0
    released: int = 0

    def raise_if(self, is_changed: bool) -> None:
        """Nodes must know, or need not."""
        self.revision += is_changed

    def of(self, domain: str, *, is_active: bool) -> list[str]:
        """The addresses on a domain."""
        return [
            email
            for email, box in self.boxes.items()
            if box.domain == domain and box.is_active == is_active
        ]

    def refusal_of_domain(self, project: int, domain: str) -> str | None:
        """Why a domain cannot be named by this project."""
        return None if self.owners.get(domain) == project else "DOMAIN_NOT_FOUND"

    def refusal_of_mailbox(self, project: int, email: str) -> str | None:
        """Why a mailbox cannot be named by this project."""
        domain = email.partition("@")[2]
        if self.refusal_of_domain(project, domain):
            return "MAILBOX_NOT_FOUND"
        if domain not in self.enabled:
            return "EMAIL_NOT_ENABLED"
        return None if email in self.boxes else "MAILBOX_NOT_FOUND"

    def refusal_of_live(self, project: int, email: str) -> str | None:
        """Why a live mailbox cannot be named by this project."""
        refusal = self.refusal_of_mailbox(project, email)
        return refusal or (None if self.boxes[email].is_active else "MAILBOX_REMOVED")

    def enable_email(self, project: int, domain: str) -> str | None:
        if refusal := self.refusal_of_domain(project, domain):
            return refusal
        self.raise_if(domain not in self.enabled)
        self.enabled.add(domain)
        return None

    def disable_email(self, project: int, domain: str) -> str | None:
        if refusal := self.refusal_of_domain(project, domain):
            return refusal
        if self.of(domain, is_active=True):
            return "MAILBOXES_EXIST"
        self.raise_if(domain in self.enabled)
        self.enabled.discard(domain)
        return None

    def add_user(self, project: int, email: str) -> str | None:
        domain = email.partition("@")[2]
        if refusal := self.refusal_of_domain(project, domain):
            return refusal
        if domain not in self.enabled:
            return "EMAIL_NOT_ENABLED"
        if email in self.boxes:
            return "MAILBOX_EXISTS" if self.boxes[email].is_active else "MAILBOX_REMOVED"
        self.boxes[email] = Box(domain)
        self.raise_if(True)
        return None

    def remove_user(self, project: int, email: str, hard_delete: bool) -> str | None:
        if refusal := self.refusal_of_mailbox(project, email):
            return refusal
        self.raise_if(hard_delete or self.boxes[email].is_active)
        if hard_delete:
            del self.boxes[email]
            self.released += 1
        else:
            self.boxes[email].is_active = False
        return None

    def restore_user(self, project: int, email: str) -> str | None:
        if refusal := self.refusal_of_mailbox(project, email):
            return refusal
        self.raise_if(not self.boxes[email].is_active)
        self.boxes[email].is_active, self.boxes[email].is_due = True, False
        return None

    def update_password(self, project: int, email: str) -> str | None:
        refusal = self.refusal_of_live(project, email)
        self.raise_if(refusal is None)
        return refusal

    def update_user(self, project: int, email: str, quota_mb: int, can_login: bool) -> str | None:
        if refusal := self.refusal_of_live(project, email):
            return refusal
        box = self.boxes[email]
        self.raise_if((box.quota_mb, box.can_login) != (quota_mb, can_login))
        box.quota_mb, box.can_login = quota_mb, can_login
        return None

    def add_domain(self, domain: str, project_id: int) -> str | None:
        if domain in self.owners:
            return "DOMAIN_EXISTS"
        self.owners[domain] = project_id
        return None

    def remove_domain(self, domain: str) -> str | None:
        if domain not in self.owners:
            return "DOMAIN_NOT_FOUND"
        if self.of(domain, is_active=True):
            return "MAILBOXES_EXIST"
        self._let_go(domain)
        del self.owners[domain]
        return None

    def assign_domain(self, domain: str, project_id: int) -> str | None:
        if self.owners.get(domain) not in (None, project_id):
            if self.of(domain, is_active=True):
                return "MAILBOXES_EXIST"
            self._let_go(domain)
        self.owners[domain] = project_id
        return None

    def _let_go(self, domain: str) -> None:
        for email in self.of(domain, is_active=False):
            is_due = self.boxes.pop(email).is_due
            self.waiting += not is_due
            self.waiting_and_due += is_due
        self.raise_if(domain in self.enabled)
        self.enabled.discard(domain)

    def purge(self) -> str | None:
        due = [email for email, box in self.boxes.items() if box.is_due]
        for email in due:
            del self.boxes[email]
        self.raise_if(bool(due) or self.waiting_and_due > 0)
        self.released += len(due) + self.waiting_and_due
        self.waiting_and_due = 0
        return None

    def let_grace_periods_end(self) -> None:
        for box in self.boxes.values():
            box.is_due = not box.is_active
        self.waiting, self.waiting_and_due = 0, self.waiting + self.waiting_and_due
