"""What makes a computer a mail node: its configuration, and the script that brings it there.

`installer.sh` is the script as people read it; the files beside it are what it writes. A node
gets all of it as one file, so that one command is enough and nothing is fetched halfway.
"""

from __future__ import annotations

import re
from pathlib import Path

_FOLDER = Path(__file__).parent
# As the script knows them: its `text` function writes each to standard output.
_FILES = (
    "agent.ini",
    "dovecot-2.3.conf",
    "dovecot-2.3-sql.conf",
    "dovecot-2.4.conf",
    "mailcote-agent.service",
    "postfix-backups",
    "postfix-main.cf",
    "postfix-master.cf",
    "postfix-senders",
    "postfix-undecided",
    "tmpfiles.conf",
)
_END = "END_OF_THIS_FILE"
# It stands between quotation marks in a shell script and in an INI file: nothing to be quoted.
_PANEL = re.compile(
    r"https?://(?:[0-9A-Za-z](?:[0-9A-Za-z.-]*[0-9A-Za-z])?|\[[0-9A-Fa-f:.]+\])"
    r"(?::[0-9]{1,5})?(?:/[0-9A-Za-z._~-]+)*"
)


def install_script(panel: str) -> str:
    """The script that `curl … | sudo sh` runs, for nodes of the panel at this address.

    An address that is not plainly http(s)://host[:port][/path] raises `ValueError`.
    """
    address = panel.removesuffix("/")
    if not _PANEL.fullmatch(address):
        raise ValueError("The panel's address cannot be written into a script.")
    files = "\n".join(map(_case, _FILES))
    script = (_FOLDER / "installer.sh").read_text(encoding="utf-8")
    return script.replace("@PANEL@", address).replace("@FILES@", files)


def _case(name: str) -> str:
    """One branch of the script's `text`; the quoted end keeps the shell from reading the file."""
    content = (_FOLDER / name).read_text(encoding="utf-8")
    if _END in content or not content.endswith("\n"):
        raise ValueError(f"{name} cannot be written into a script.")
    return f"  {name}) cat <<'{_END}' ;;\n{content}{_END}"
