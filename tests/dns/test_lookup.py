"""Whom the panel asks, and what it loads for it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from app.config import Settings
from app.dns import lookup
from app.dns.delegation import reachable
from app.dns.lookup import SILENT, Answer, Asking, Run

APP = Path(__file__).resolve().parents[2] / "app"


def test_it_asks_as_the_settings_say() -> None:
    settings = Settings(dns_resolvers=(("192.0.2.53", 53),), dns_private_port=5353)
    asking = Asking.of(settings)
    assert (asking.resolvers, asking.private_port) == ((("192.0.2.53", 53),), 5353)
    assert Run(asking).resolvers == (("192.0.2.53", 53),)
    assert Run(Asking.of(Settings())).resolvers


@pytest.mark.parametrize("address", ["9.9.9.9", "2620:fe::fe", "185.49.140.10"])
def test_name_servers_on_the_internet_are_asked(address: str) -> None:
    assert reachable(address, 0) == (address, 53)
    assert reachable(address, 5353) == (address, 53)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "255.255.255.255", "224.0.0.251", "240.0.0.1", "198.18.0.1", "192.0.2.1"),
        *("::", "::1", "fe80::1", "fc00::1", "ff02::fb", "2001:db8::1"),
        # What stands for an address of IPv4: mapped, 6to4, NAT64, Teredo.
        *("::ffff:127.0.0.1", "::ffff:9.9.9.9", "2002:7f00:1::1", "64:ff9b::7f00:1"),
        "2001:0:7f00:1::1",
        # The forms of old, and of a NAT64 or SIIT of one's own; what no registry gave out yet.
        *("::127.0.0.1", "::9.9.9.9", "::ffff:0:7f00:1", "64:ff9b:1::7f00:1", "fec0::1"),
        *("4000::1", "5f00::1"),
    ],
)
def test_machines_of_private_networks_are_not(address: str) -> None:
    assert reachable(address, 0) is None
    assert reachable(address, 5353) == (address, 5353)


@pytest.mark.parametrize(
    ("text", "resolvers"),
    [
        ("nameserver 192.0.2.1\n# nameserver 192.0.2.2\nnameserver\nnameserver x\n", ["192.0.2.1"]),
        ("nameserver ::1\nnameserver 192.0.2.1\n" * 3, ["::1", "192.0.2.1", "::1"]),
        ("search example.nl\n\xff", ["127.0.0.1"]),
    ],
)
def test_this_machine_says_who_its_resolvers_are(
    tmp_path: Path, text: str, resolvers: list[str]
) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(text, encoding="latin-1")
    assert lookup.resolvers_of_this_machine(file) == tuple((one, 53) for one in resolvers)
    assert lookup.resolvers_of_this_machine(tmp_path / "none") == (("127.0.0.1", 53),)


def test_silence_counts_only_in_a_row() -> None:
    run = Run(Asking(resolvers=(("192.0.2.53", 53),)))
    server = ("192.0.2.1", 53)
    for answered in (False, True, False):
        run.note(server, answered=answered)
    assert not run.is_given_up(server)
    run.note(server, answered=False)
    assert run.is_given_up(server)
    for _ in range(10):  # it waits for others itself
        run.note(("192.0.2.53", 53), answered=False)
    assert not run.is_given_up(("192.0.2.53", 53))


def test_what_is_kept_is_bounded() -> None:
    run = Run(Asking())
    run.keep("small.nl", "TXT", Answer("found", ("x",)))
    run.keep("huge.nl", "TXT", Answer("found", ("x" * 60_000,)))
    assert run.kept("small.nl", "TXT") == Answer("found", ("x",))
    assert run.kept("huge.nl", "TXT") is None
    run.keep("crowd.nl", "TXT", Answer("found", tuple(map(str, range(1000)))))
    assert run.kept("crowd.nl", "TXT") is None
    for kept in (None, SILENT):  # once can be chance
        run.keep("dead.nl", "TXT", SILENT)
        assert run.kept("dead.nl", "TXT") == kept
    for number in range(30_000):
        run.keep(f"{number}.nl", "A", Answer("nothing"))
    assert len(run._kept) <= 20_000


def test_messages_are_loaded_by_who_asks_only() -> None:
    """They take a tenth of a second, which every start of the panel and every command would."""
    for path in APP.rglob("*.py"):
        at_once = [
            ast.unparse(line)
            for line in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(line, ast.Import | ast.ImportFrom)
        ]
        assert not [line for line in at_once if "wire" in line.split()], path
