"""Every setting: its name, type, default and meaning. A wrong value stops the start.

Settings are environment variables with the prefix MAILCOTE_; `Settings.from_environment()` reads
them once, at the start of a process.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

PREFIX = "MAILCOTE_"
_ROOT = Path(__file__).resolve().parent.parent


class WrongSetting(Exception):
    """A setting that cannot be used; the message names it and says what is accepted."""


@dataclass(frozen=True)
class Settings:
    """One attribute a setting; the comment above each is its documentation."""

    # The folder for the database, the secret key and other files of this installation.
    instance: Path = _ROOT / "instance"
    # Where the data is kept: sqlite:///FILE (default: panel.db in the instance folder) or
    # postgresql://USER:PASSWORD@HOST/NAME.
    database_url: str = field(default="", repr=False)
    # What signs cookies and forms; made once into the instance folder when not set.
    secret_key: str = field(default="", repr=False)
    # The address people and nodes reach the panel by, such as https://panel.example.nl.
    public_url: str = "http://127.0.0.1:8000"
    # The address the server was told to listen on; requests for it are accepted.
    host: str = "127.0.0.1"
    # Who has to sign in with a second factor beside the password: off, admins or everyone.
    two_factor: str = "off"
    # Whether the database is backed up, beside itself, before a new version changes its tables.
    backup_before_upgrade: str = "yes"
    # How many reverse proxies of your own stand in front and set X-Forwarded-For.
    trusted_proxies: int = 0
    # Worker processes of `mailcote serve`; 0 means one for each core.
    workers: int = 0
    # Cost of a mailbox password's hash: a Raspberry Pi has to verify it at every login.
    mailbox_bcrypt_cost: int = 10
    # Cost of the hash of a password of the panel itself.
    person_bcrypt_cost: int = 12
    # Days for which a removed mailbox can be restored.
    grace_days: int = 30
    # The host name that mail clients use, and MX where nodes have no name of their own.
    mail_host: str = ""
    # The name of the platform's own SPF record, which customers' records include; default: _spf.
    # before the mail host.
    spf_include: str = ""
    # Where the public keys of nodes that sign mail (DKIM) are published; empty while none signs.
    dkim_domain: str = ""
    # The resolvers that are asked about domains, by address, with commas between: 9.9.9.9 or
    # [2620:fe::fe]:53; default: those of this machine.
    dns_resolvers: tuple[tuple[str, int], ...] = ()
    # Name servers at private addresses are asked at this port; 0 means never, which keeps a
    # domain's owner from having the panel ask machines of the network it is in.
    dns_private_port: int = 0
    # Where the zones of domains registered through the platform are written (RFC 2136), by address.
    dns_update_server: tuple[tuple[str, int], ...] = ()
    # The key it is written with (TSIG): ALGORITHM:NAME:SECRET, such as hmac-sha256:mailcote:cmFu….
    dns_update_key: str = field(default="", repr=False)
    # Where the demo's own mail node listens on this machine, without encryption; 0 on real panels.
    demo_imap_port: int = 0
    # Where notices are sent from: smtp://USER:PASSWORD@HOST:PORT, and the sender's address.
    smtp_url: str = field(default="", repr=False)
    mail_from: str = ""
    # Where programs are told of nodes in trouble: https://…, or http://… on this machine.
    alert_webhook: str = field(default="", repr=False)
    # What Prometheus sends to read /metrics, at least 32 characters; without it only programs on
    # this machine read them, and not through a proxy.
    metrics_token: str = field(default="", repr=False)
    # What `mailcote serve` logs: info (each request but polls without news), or warning.
    log_level: str = "info"
    # Wrong credentials accepted a minute from one address before it has to wait; 0 for no limit.
    rate_wrong_credentials: int = 60
    # Attempts to sign in accepted an hour for one account before it has to wait; 0 for no limit.
    rate_sign_ins: int = 20
    # Changes accepted a minute from one token before it has to wait; 0 for no limit.
    rate_writes: int = 600
    # Assistants that may register an hour from one address, and be looked up for one person, and
    # tokens that each of them is given; 0 for no limit.
    rate_registrations: int = 60

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read, check and complete all settings. Raises WrongSetting."""
        values = {
            each.name: _READERS[each.name](PREFIX + each.name.upper(), text)
            for each in fields(cls)
            if (text := environment.get(PREFIX + each.name.upper(), "")) != ""
        }
        return cls(**values)  # type: ignore[arg-type]  # each reader gives its field's type

    @property
    def platform_spf(self) -> str:
        """The name of the platform's own SPF record, empty where nobody has named the platform."""
        return self.spf_include or (f"_spf.{self.mail_host}" if self.mail_host else "")

    def secret(self) -> str:
        """The secret key: the one that was set, or the one made once for this installation."""
        return self.secret_key or _kept_secret(self.instance / "secret_key")

    @property
    def database(self) -> str:
        """The database's URL in SQLAlchemy's form."""
        if self.database_url.startswith("postgresql"):
            return self.database_url
        # From the root on: migrations and other processes need not run in the same folder.
        file = self.database_url.removeprefix("sqlite:///") or "panel.db"
        return f"sqlite:///{self.instance / file}"

    @property
    def is_public_over_https(self) -> bool:
        """Whether people reach the panel by https; only then are cookies Secure."""
        return self.public_url.startswith("https:")


Reader = Callable[[str, str], object]

_MAX_DIGITS = 9
SECRET_LENGTH = 32
_HOST_NAME = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.-]{0,251}[0-9A-Za-z])?")
_DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)[0-9A-Za-z_](?:[0-9A-Za-z_-]{0,62})(?:\.[0-9A-Za-z_][0-9A-Za-z_-]{0,62})+"
)
# What follows `//` in the URL of PostgreSQL: USER:PASSWORD@HOST:PORT/NAME?options
_SERVER = re.compile(r"(?:[^@/]*@)?(?:\[[^]/@]*\]|[^]\[:/@?]*)(?::[0-9]{1,5})?(?:[/?].*)?")


def _whole(lowest: int, highest: int) -> Reader:
    def read(name: str, text: str) -> int:
        is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
        if not is_number or not lowest <= int(text) <= highest:
            raise WrongSetting(f"{name} takes a whole number from {lowest} to {highest}.")
        return int(text)

    return read


def _secret(name: str, text: str) -> str:
    if len(text) < SECRET_LENGTH:
        raise WrongSetting(
            f"{name} takes at least {SECRET_LENGTH} characters; leave it out to have one made."
        )
    return text


def _token(name: str, text: str) -> str:
    if not re.fullmatch(r"[!-~]{32,512}", text):
        raise WrongSetting(f"{name} takes 32 to 512 characters of ASCII without spaces.")
    return text


def _one_of(*words: str) -> Reader:
    def read(name: str, text: str) -> str:
        if text not in words:
            raise WrongSetting(f"{name} takes {' or '.join(words)}.")
        return text

    return read


def _folder(name: str, text: str) -> Path:
    try:
        path = Path(text).expanduser().absolute()
        is_usable = next(each for each in (path, *path.parents) if each.exists()).is_dir()
    except (OSError, RuntimeError, ValueError):  # too long, out of reach, or ~ of nobody
        is_usable = False
    # A question mark would end the name of the file in the database's URL.
    if not is_usable or "?" in text:
        raise WrongSetting(f"{name} takes a folder that is there or can be made.")
    return path


def _database_url(name: str, text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and _is_file_name(rest[1:]):
        return text
    is_postgres = scheme in ("postgres", "postgresql", "postgresql+psycopg")
    if is_postgres and _is_one_line(rest) and _SERVER.fullmatch(rest):
        return f"postgresql+psycopg://{rest}"
    raise WrongSetting(f"{name} takes sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.")


def _is_file_name(text: str) -> bool:
    """Whether SQLite keeps its data in a file of this name, rather than in memory."""
    is_file = _is_one_line(text) and not text.endswith("/")
    return is_file and "?" not in text and not text.startswith((":", "file:"))


def _host(name: str, text: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z.:-]{1,253}", text):
        raise WrongSetting(f"{name} takes the IP address or name of this machine to listen on.")
    return text.lower()


def _host_name(name: str, text: str) -> str:
    if not _HOST_NAME.fullmatch(text):
        raise WrongSetting(f"{name} takes a host name such as mail.example.nl.")
    return text.lower()


def _dns_name(name: str, text: str) -> str:
    if not _DNS_NAME.fullmatch(text):
        raise WrongSetting(f"{name} takes a name in the DNS such as _spf.example.nl.")
    return text.lower()


def _name_servers(at_most: int) -> Reader:
    def read(name: str, text: str) -> tuple[tuple[str, int], ...]:
        found = tuple(_name_server(part) for part in text.split(",", at_most))
        if len(found) > at_most or None in found:
            several = ", with commas between" if at_most > 1 else ""
            raise WrongSetting(
                f"{name} takes an address such as 9.9.9.9, 192.0.2.1:5353 or [2001:db8::1]:53"
                f"{several}."
            )
        return tuple(server for server in found if server)

    return read


def _name_server(text: str) -> tuple[str, int] | None:
    """An address and a port, 53 unless said."""
    match = _NAME_SERVER.fullmatch(text)
    port = int(match[3] or 53) if match else 0
    try:
        address = str(ip_address(match[1] or match[2] or match[4])) if match else ""
    except ValueError:
        return None
    return (address, port) if address and 0 < port < 65536 else None


_NAME_SERVER = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?|([0-9A-Fa-f:]+)")
_TSIG_KEY = re.compile(
    r"hmac-sha(?:224|256|384|512):(?=[^:]{1,253}:)[0-9A-Za-z_-]{1,63}(?:\.[0-9A-Za-z_-]{1,63})*"
    r":(?:[0-9A-Za-z+/]{4}){4,}(?:[0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?"
)


def _tsig_key(name: str, text: str) -> str:
    if len(text) > 1024 or not _TSIG_KEY.fullmatch(text):
        raise WrongSetting(
            f"{name} takes ALGORITHM:NAME:SECRET, such as hmac-sha256:mailcote: and the key in "
            "base64."
        )
    return text


def _web_address(name: str, text: str) -> str:
    parts = _parts(text)
    if parts and parts.scheme in ("http", "https") and parts.port != 0 and "@" not in text:
        address = f"{parts.scheme}://{parts.netloc.lower()}"
        # A browser asks for a name beyond ASCII by its punycode, and would not be answered.
        if text.lower().removesuffix("/") == address and text.isascii():
            return address
    raise WrongSetting(
        f"{name} takes an address such as https://panel.example.nl, no path; a name beyond ASCII "
        "in punycode (xn--…)."
    )


def _smtp_url(name: str, text: str) -> str:
    parts = _parts(text)
    if parts is None or parts.scheme not in ("smtp", "smtps"):
        raise WrongSetting(f"{name} takes smtp://USER:PASSWORD@HOST:PORT or smtps://….")
    return text


def _webhook(name: str, text: str) -> str:
    parts = _parts(text)
    is_safe = parts and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    )
    if not is_safe or "@" in text or "#" in text or not text.isascii():
        raise WrongSetting(f"{name} takes https://HOST/PATH, or http://127.0.0.1:PORT/PATH.")
    return text


def is_loopback(host: str) -> bool:
    """Whether what is sent to this host stays on this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _sender(name: str, text: str) -> str:
    local_part, _, domain = text.rpartition("@")
    if not local_part or not domain or " " in text or not _is_one_line(text):
        raise WrongSetting(f"{name} takes an e-mail address such as panel@example.nl.")
    return text


def _parts(text: str) -> SplitResult | None:
    """The parts of a URL with a host name and a port that can be, None when it is none."""
    try:
        parts = urlsplit(text)
        is_usable = bool(parts.hostname) and (parts.port is None or parts.port >= 0)
    except ValueError:
        return None
    return parts if is_usable and _is_one_line(text) and " " not in text else None


def _is_one_line(text: str) -> bool:
    return bool(text) and text.isprintable() and text == text.strip()


_READERS: dict[str, Reader] = {
    "instance": _folder,
    "database_url": _database_url,
    "secret_key": _secret,
    "public_url": _web_address,
    "host": _host,
    "two_factor": _one_of("off", "admins", "everyone"),
    "backup_before_upgrade": _one_of("yes", "no"),
    "trusted_proxies": _whole(0, 10),
    "workers": _whole(0, 64),
    "mailbox_bcrypt_cost": _whole(4, 14),
    "person_bcrypt_cost": _whole(4, 14),
    "grace_days": _whole(0, 3650),
    "mail_host": _host_name,
    "spf_include": _dns_name,
    "dkim_domain": _dns_name,
    "dns_resolvers": _name_servers(8),
    "dns_private_port": _whole(0, 65535),
    "dns_update_server": _name_servers(1),
    "dns_update_key": _tsig_key,
    "demo_imap_port": _whole(0, 65535),
    "smtp_url": _smtp_url,
    "mail_from": _sender,
    "alert_webhook": _webhook,
    "metrics_token": _token,
    "log_level": _one_of("info", "warning"),
    "rate_wrong_credentials": _whole(0, 1_000_000),
    "rate_sign_ins": _whole(0, 1_000_000),
    "rate_writes": _whole(0, 1_000_000),
    "rate_registrations": _whole(0, 1_000_000),
}


def _kept_secret(path: Path) -> str:
    """The secret in this file, which is made first if need be, by one process only."""
    if not path.exists():
        new = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        new.touch(mode=0o600)
        with new.open("r+") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())  # or a power cut may leave the name, and nothing in it
        with suppress(FileExistsError):
            os.link(new, path)  # never replaces the one that another process just made
        new.unlink()
        _keep_names_in(path.parent)
    found = path.read_text()
    if len(found) < SECRET_LENGTH:
        raise WrongSetting(f"{path} is damaged: remove it to have a new one made.")
    return found


def _keep_names_in(folder: Path) -> None:
    """Have the disk know the names of the files there, as fsync(2) of a file does not."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
