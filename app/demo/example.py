"""Example data for the demo: two customers, an admin, their domains, mailboxes and tokens."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ..caller import Caller, command_line
from ..operations import OPERATIONS
from ..passwords import generate

BAKERY, STUDIO = "korenaar.example", "studio-linde.example"
SHOP = "korenaar-shop.example"  # e-mail is off there: for a visitor to turn on
CUSTOMER, ADMIN = "anna@korenaar.example", "admin@mailcote.example"
NODE = "demo"

_MAILBOXES = (
    ("info", 2048),
    ("orders", 2048),
    ("anna", 5120),
    ("bram", 1024),
    ("invoices", 10240),
    ("jobs", 512),
    ("old-shop", 1024),
)
_STUDIO_MAILBOXES = (
    ("hello", 1024),
    ("linde", 5120),
    ("projects", 2048),
    ("press", 1024),
    ("billing", 1024),
)


@dataclass(frozen=True)
class Secrets:
    """What a visitor of the demo needs: kept in a file only its owner can read."""

    customer_password: str
    admin_password: str
    mailbox_password: str
    project_token: str
    admin_token: str
    sync_key: str


def secrets_of(folder: Path) -> Secrets | None:
    """The secrets of a demo that was set up before, None when there is none."""
    if not (folder / "demo.db").exists():
        return None
    try:
        return Secrets(**json.loads((folder / "secrets.json").read_text()))
    except (FileNotFoundError, TypeError, ValueError):  # none yet, or of another version
        return None


def set_up(folder: Path) -> Secrets:
    """Fill an empty panel. The secrets are kept last: a demo without them is begun anew."""
    operator = command_line()
    mailbox_password, customer_password, admin_password = generate(), generate(), generate()
    run = OPERATIONS
    project = run["add-project"](operator, name="Bakery De Korenaar")
    studio = run["add-project"](operator, name="Studio Linde")
    run["add-person"](operator, email=CUSTOMER, password=customer_password, projects=[project.id])
    run["add-person"](operator, email=ADMIN, password=admin_password, is_admin=True)
    for owner, domain, mailboxes in (
        (project, BAKERY, _MAILBOXES),
        (studio, STUDIO, _STUDIO_MAILBOXES),
    ):
        run["assign-domain"](operator, domain=domain, project_id=owner.id)
        _add_mailboxes(operator.in_project(owner.id), domain, mailboxes, mailbox_password)
    run["assign-domain"](operator, domain=SHOP, project_id=project.id)
    _show_every_state(operator.in_project(project.id))
    token = run["add-token"](operator, name="demo", project_id=project.id).text
    admin_token = run["add-token"](operator, name="demo admin").text
    sync_key = run["add-node"](operator, name=NODE).sync_key
    made = Secrets(
        customer_password, admin_password, mailbox_password, token, admin_token, sync_key
    )
    _keep(folder / "secrets.json", made)
    return made


def _add_mailboxes(
    caller: Caller, domain: str, mailboxes: tuple[tuple[str, int], ...], password: str
) -> None:
    OPERATIONS["enable-email"](caller, domain=domain)
    for name, quota_mb in mailboxes:
        OPERATIONS["add-user"](
            caller, email=f"{name}@{domain}", password=password, quota_mb=quota_mb
        )


def _show_every_state(caller: Caller) -> None:
    OPERATIONS["remove-user"](caller, email=f"old-shop@{BAKERY}")
    OPERATIONS["update-user"](caller, email=f"invoices@{BAKERY}", can_login=False)
    OPERATIONS["update-user"](caller, email=f"jobs@{BAKERY}", can_receive=False)


def _keep(path: Path, made: Secrets) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(made), file)
    new.replace(path)
