"""A node's Dovecot and Postfix in a folder of their own: the files that the installer writes, with
other paths and ports, and the agent that feeds them.

Dovecot also runs as an ordinary user, who then owns everything; Postfix needs root.
"""

from __future__ import annotations

import base64
import grp
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from app.demo.dovecot import PROGRAMS, missing_packages
from tests.processes import eventually, free_port, is_listening, process

APP = Path(__file__).parents[2] / "app"
POSTFIX_DAEMONS = Path("/usr/lib/postfix/sbin")
POSTFIX_CDB = Path("/usr/lib/postfix/postfix-cdb.so")
VMAIL = 5000
KEY = "mck_Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OQ"
PORTS = ("imap", "imaps", "pop3s", "smtp", "submission", "submissions")

# What a test's Dovecot has otherwise than a node's; it is read from the place that a node has for
# settings of its own. Everybody shares 127.0.0.1 here, hence no penalty for wrong passwords.
LOCAL_DOVECOT = """
base_dir = {root}/run
state_dir = {root}/run
log_path = {root}/dovecot.log
listen = 127.0.0.1
default_internal_user = {internal_user}
default_internal_group = {internal_group}
default_login_user = {login_user}
mail_uid = {mail_uid}
mail_gid = {mail_gid}
first_valid_uid = 1
first_valid_gid = 1
mail_fsync = never
auth_failure_delay = 0
auth_verbose = yes
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3s {{
    port = {pop3s}
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service lmtp {{
  user = {service_user}
  unix_listener {root}/queue/private/dovecot-lmtp {{
    user = {socket_user}
    group =
  }}
}}
service auth {{
  unix_listener {root}/queue/private/auth {{
    user = {socket_user}
    group =
  }}
}}
service quota-status {{
  unix_listener {root}/queue/private/quota-status {{
    user = {socket_user}
    group =
  }}
}}
"""

# Connections from this computer are strangers' here, and no mail ever leaves.
LOCAL_POSTFIX = """
queue_directory = {root}/queue
data_directory = {root}/data
daemon_directory = {daemons}
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 192.0.2.0/24
default_transport = error:5.7.1 no mail leaves this test
maillog_file_prefixes = {root}
maillog_file = {root}/postfix.log
"""

# What waits is tried again at once: a test has no minute.
RELAYING = """
myhostname = {root.name}.test
transport_maps = pipemap:{{cdb:{root}/state/maps/relays, regexp:{root}/etc/ways}}
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
ipc_ttl = 1s
ipc_idle = 1s
"""
SET_ANEW = re.compile("(myhostname|transport_maps|queue_run_delay|minimal_backoff_time|ipc_ttl) =")


@contextmanager
def short_folder() -> Iterator[Path]:
    """A temporary folder whose name is short enough for unix sockets."""
    with TemporaryDirectory(prefix="node.", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def lacking() -> list[str]:
    """The Debian packages that a test of the whole node needs and does not find."""
    postfix = {"postfix": POSTFIX_DAEMONS / "master", "postfix-cdb": POSTFIX_CDB}
    return [*missing_packages(), *(name for name, file in postfix.items() if not file.exists())]


class MailServer:
    """One node, in a folder that only it uses."""

    def __init__(self, root: Path, key: str = KEY) -> None:
        self.root = root
        self.ports = {name: free_port() for name in PORTS}
        self.is_root = os.geteuid() == 0
        self.config = root / "dovecot.conf"
        self._lay_out(key)

    @contextmanager
    def dovecot(self) -> Iterator[None]:
        """Dovecot, once the agent has made its database."""
        with process([program("dovecot"), "-F", "-c", str(self.config)], os.environ):
            eventually(lambda: is_listening(self.ports["imaps"]))
            yield

    @contextmanager
    def postfix(self) -> Iterator[None]:
        """Postfix beside it. https://www.postfix.org/master.8.html"""
        self._make_queue()
        command = [str(POSTFIX_DAEMONS / "master"), "-c", str(self.root / "postfix"), "-d"]
        with process(command, os.environ):
            eventually(lambda: is_listening(self.ports["smtp"]))
            yield

    def agent(self, verb: str, panel: str, *more: str) -> list[str]:
        """How the agent is called here."""
        command = [
            *(sys.executable, str(APP / "agent.py"), verb, "--panel", panel),
            *("--key-file", str(self.root / "etc/sync.key"), "--state", str(self.root / "state")),
        ]
        if not lacking():
            postmap = f"{program('postmap')} -c {self.root / 'postfix'}"
            command += ["--maps", str(self.root / "state/maps"), "--postmap", postmap]
        return [*command, *more]

    def folder(self, name: str) -> Path:
        """Where its `state`, the `mail`, what is `told` the agent, its `etc` and Postfix's `queue`
        are."""
        return self.root / name

    def told(self, what: str, email: str) -> str:
        """What Dovecot tells the agent: a file of the folder `usage` or `logins`."""
        file = self.folder("told") / what / email
        return file.read_text() if file.exists() else ""

    def socket(self, name: str) -> str:
        """A socket that Dovecot has in Postfix's queue directory."""
        return str(self.folder("queue") / "private" / name)

    @property
    def log(self) -> str:
        """All that both have said."""
        logs = [self.root / "dovecot.log", self.root / "postfix.log"]
        return "".join(log.read_text(errors="replace") for log in logs if log.exists())

    def text(self, name: str) -> str:
        """A file of the installer, for this folder."""
        text = (APP / "node" / name).read_text().replace("@HOSTNAME@", "localhost")
        for there, here in {
            "/etc/mailcote": "etc",
            "/var/lib/mailcote": "state",
            "/var/vmail": "mail",
            "/run/mailcote": "told",
            "/var/spool/postfix": "queue",
        }.items():
            text = text.replace(there, f"{self.root}/{here}")
        return text

    def _lay_out(self, key: str) -> None:
        self.root.chmod(0o755)
        for name in ("etc", "state", "mail", "told/usage", "told/logins", "queue/private", "run"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        if self.is_root:
            for name in ("mail", "told/usage", "told/logins"):
                os.chown(self.root / name, VMAIL, VMAIL)
        key_file = self.root / "etc/sync.key"
        key_file.touch(mode=0o600)
        key_file.write_text(key + "\n")
        make_certificate(self.root / "etc")
        if dovecot_series() == "2.3":
            (self.root / "etc/dovecot-sql.conf").write_text(self.text("dovecot-2.3-sql.conf"))
        self.config.write_text(self.text(f"dovecot-{dovecot_series()}.conf"))
        local = LOCAL_DOVECOT.format(root=self.root, **self.ports, **self._accounts())
        (self.root / "etc/dovecot-local.conf").write_text(local)
        if not lacking():
            self._lay_out_postfix()

    def _accounts(self) -> dict[str, str]:
        me = pwd.getpwuid(os.geteuid()).pw_name
        group = grp.getgrgid(os.getegid()).gr_name
        return {
            "internal_user": "dovecot" if self.is_root else me,
            "internal_group": "dovecot" if self.is_root else group,
            "login_user": "dovenull" if self.is_root else me,
            "service_user": me,
            "socket_user": "postfix" if self.is_root and not lacking() else me,
            "mail_uid": str(VMAIL if self.is_root else os.geteuid()),
            "mail_gid": str(VMAIL if self.is_root else os.getegid()),
        }

    def _lay_out_postfix(self) -> None:
        config = self.root / "postfix"
        config.mkdir()
        for lists in Path("/etc/postfix").glob("dynamicmaps.cf*"):  # one, or one for each package
            subprocess.run(["cp", "-r", lists, config], check=True)
        for name in ("backups", "senders", "undecided"):
            (self.root / "etc" / name).write_text(self.text(f"postfix-{name}"))
        local = LOCAL_POSTFIX.format(root=self.root, daemons=POSTFIX_DAEMONS)
        (config / "main.cf").write_text(self.text("postfix-main.cf") + local)
        self._let_it_be_old()
        master = self.text("postfix-master.cf")
        for port, name in {"25": "smtp", "587": "submission", "465": "submissions"}.items():
            master = master.replace(f"\n{port} ", f"\n127.0.0.1:{self.ports[name]} ")
        (config / "master.cf").write_text(master)

    def reach(self, others: Mapping[str, int]) -> None:
        """Let Postfix, before it starts, find port 25 of these hosts at ports of this computer."""
        ways = self.root / "etc/ways"
        lines = [
            f"/^relay:\\[{re.escape(host)}\\]:25$/ relay:[127.0.0.1]:{port}\n"
            for host, port in others.items()
        ]
        # A transport may not be made from what was looked up, for which the last line has no need.
        ways.write_text("".join(lines) + "/^retry:/ retry:4.3.2 the home of this domain is lost\n")
        config = self.root / "postfix/main.cf"
        there = [line for line in config.read_text().splitlines() if not SET_ANEW.match(line)]
        config.write_text("\n".join(there) + RELAYING.format(root=self.root))
        self._let_it_be_old()

    def _let_it_be_old(self) -> None:
        """Postfix waits until its configuration is two seconds old, at each start of a daemon."""
        past = time.time() - 60
        os.utime(self.root / "postfix/main.cf", (past, past))

    def _make_queue(self) -> None:
        """The folders that `postfix check` would make, which takes seconds."""
        uid, postdrop = pwd.getpwnam("postfix").pw_uid, grp.getgrnam("postdrop").gr_gid
        queue = self.root / "queue"
        names = "active bounce corrupt defer deferred flush hold incoming private saved trace"
        for name in names.split():
            (queue / name).mkdir(mode=0o700, exist_ok=True)
            os.chown(queue / name, uid, 0)
        for name, mode in {"maildrop": 0o1730, "public": 0o2710}.items():
            (queue / name).mkdir(exist_ok=True)
            os.chown(queue / name, uid, postdrop)
            (queue / name).chmod(mode)
        (queue / "pid").mkdir(exist_ok=True)
        (self.root / "data").mkdir(exist_ok=True)
        os.chown(self.root / "data", uid, 0)


def make_certificate(folder: Path) -> None:
    """A self-made one for localhost, as the installer makes it."""
    command = [
        *("openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-subj"),
        *("/CN=localhost", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-addext", "subjectAltName=DNS:localhost"),
        *("-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")),
    ]
    subprocess.run(command, check=True, capture_output=True)


def dovecot_series() -> str:
    """2.3 or 2.4."""
    command = [program("dovecot"), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout[:3]


def auth(path: str, email: str, password: str) -> str:
    """Ask Dovecot as Postfix does; the answer's first word is OK or FAIL.

    https://doc.dovecot.org/2.3/developer_manual/design/auth_protocol/
    """
    secret = base64.b64encode(f"\0{email}\0{password}".encode()).decode()
    asked = f"AUTH\t1\tPLAIN\tservice=smtp\tsecured\tresp={secret}\n"
    with closing(socket.socket(socket.AF_UNIX)) as client, client.makefile("rw") as lines:
        client.settimeout(30)
        client.connect(path)
        lines.write(f"VERSION\t1\t1\nCPID\t{os.getpid()}\n{asked}")
        lines.flush()
        return next(line.split("\t")[0] for line in lines if line.startswith(("OK\t", "FAIL\t")))


def policy(path: str, recipient: str, size: int) -> str:
    """Ask whether a message may come, as Postfix does.

    https://www.postfix.org/SMTPD_POLICY_README.html
    """
    asked = f"request=smtpd_access_policy\nrecipient={recipient}\nsize={size}\n\n"
    with closing(socket.socket(socket.AF_UNIX)) as client, client.makefile("rw") as lines:
        client.settimeout(30)
        client.connect(path)
        lines.write(asked)
        lines.flush()
        return lines.readline().removeprefix("action=").strip()


def program(name: str) -> str:
    """Where it is; Debian keeps servers where an ordinary user's PATH does not look."""
    return shutil.which(name, path=PROGRAMS) or name
