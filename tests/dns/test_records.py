"""The records a domain needs."""

from __future__ import annotations

from app.dns.records import Record, expected_records
from app.models import Node

OWN = "mail.example.nl"


def of(kind: str, records: list[Record]) -> list[tuple[str, str, int | None]]:
    """The name, value and priority of the records of a type."""
    return [(one.name, one.value, one.priority) for one in records if one.type == kind]


def test_it_works() -> None:
    nodes = [
        Node(name="b", host="mx2.mail.example", mx_priority=20),
        Node(name="a", host="mx1.mail.example", mx_priority=None),
        Node(name="c", host=None),
    ]
    records = expected_records("example.nl", "mx1.mail.example", nodes)
    assert of("MX", records) == [("@", "mx1.mail.example.", 10), ("@", "mx2.mail.example.", 20)]
    assert of("CNAME", records) == [("mail", "mx1.mail.example.", None)]
    assert of("TXT", records) == [
        ("@", "v=spf1 mx ~all", None),
        ("_dmarc", "v=DMARC1; p=none", None),
    ]


def test_the_mail_host_receives_where_no_node_has_a_name() -> None:
    records = expected_records("example.nl", "mail.provider.example", [])
    assert of("MX", records) == [("@", "mail.provider.example.", 10)]
    assert of("TXT", records)[0][1] == "v=spf1 mx ~all"


def test_a_mail_host_that_does_not_receive_may_send() -> None:
    node = Node(name="a", host="mx1.mail.example")
    records = expected_records("example.nl", "smtp.mail.example", [node])
    assert of("TXT", records)[0][1] == "v=spf1 mx a:smtp.mail.example ~all"


def test_nothing_is_an_alias_of_itself() -> None:
    assert of("CNAME", expected_records("example.nl", OWN, [])) == []
    node = Node(name="a", host="mx1.mail.example")
    assert of("CNAME", expected_records("example.nl", OWN, [node])) == [
        ("mail", "mx1.mail.example.", None)
    ]
    assert of("TXT", expected_records("example.nl", OWN, [node]))[0][1] == "v=spf1 mx ~all"


def test_a_priority_of_nought_is_one() -> None:
    node = Node(name="a", host="mx1.mail.example", mx_priority=0)
    assert of("MX", expected_records("example.nl", OWN, [node])) == [("@", "mx1.mail.example.", 0)]


def test_names_are_relative_and_can_be_full() -> None:
    names = [one.full_name("example.nl") for one in expected_records("example.nl", OWN, [])]
    assert names == ["example.nl", "example.nl", "_dmarc.example.nl"]


def test_a_home_comes_first_and_the_others_are_its_backups() -> None:
    nodes = [
        Node(name="a", host="mx1.mail.example", mx_priority=5),
        Node(name="b", host="mx2.mail.example"),
        Node(name="c", host="mx3.mail.example", mx_priority=50),
    ]
    records = expected_records("example.nl", "mx2.mail.example", nodes, "mx2.mail.example")
    assert of("MX", records) == [
        ("@", "mx2.mail.example.", 10),
        ("@", "mx1.mail.example.", 20),
        ("@", "mx3.mail.example.", 50),
    ]
    assert of("CNAME", records) == [("mail", "mx2.mail.example.", None)]
    lost = expected_records("example.nl", "mx4.mail.example", nodes, "mx4.mail.example")
    assert of("MX", lost)[0] == ("@", "mx1.mail.example.", 5)
