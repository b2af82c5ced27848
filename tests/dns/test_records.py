"""The records a domain needs."""

from __future__ import annotations

from app.dns.records import Platform, Record, expected_records
from app.models import Node

NOTHING = Platform()
PLATFORM = Platform(mail_host="mail.provider.example", spf_include="_spf.provider.example")


def of(kind: str, records: list[Record]) -> list[tuple[str, str, int | None]]:
    """The name, value and priority of the records of a type."""
    return [(one.name, one.value, one.priority) for one in records if one.type == kind]


def test_it_works() -> None:
    nodes = [
        Node(name="b", host="mx2.mail.example", mx_priority=20),
        Node(name="a", host="mx1.mail.example", mx_priority=None),
        Node(name="c", host=None),
    ]
    records = expected_records("example.nl", PLATFORM, nodes)
    assert of("MX", records) == [("@", "mx1.mail.example.", 10), ("@", "mx2.mail.example.", 20)]
    assert of("CNAME", records) == [("mail", "mail.provider.example.", None)]
    assert of("TXT", records) == [
        ("@", "v=spf1 include:_spf.provider.example ~all", None),
        ("_dmarc", "v=DMARC1; p=none", None),
    ]
    assert of("SRV", records) == [
        ("_imaps._tcp", "1 993 mail.provider.example.", 0),
        ("_submissions._tcp", "1 465 mail.provider.example.", 0),
    ]


def test_what_no_mail_arrives_without_comes_first() -> None:
    platform = Platform("mail.example", "_spf.example", "keys.example", "panel.example")
    order = ["receiving", "sending", "reputation", "convenience"]
    found = [one.severity for one in expected_records("example.nl", platform, [])]
    assert found == sorted(found, key=order.index)
    assert set(found) == set(order)


def test_the_mail_host_receives_where_no_node_has_a_name() -> None:
    records = expected_records("example.nl", PLATFORM, [])
    assert of("MX", records) == [("@", "mail.provider.example.", 10)]


def test_without_a_record_of_the_platform_those_who_receive_send() -> None:
    node = Node(name="a", host="mx1.mail.example")
    records = expected_records("example.nl", Platform(mail_host="smtp.mail.example"), [node])
    assert of("TXT", records)[0][1] == "v=spf1 mx a:smtp.mail.example ~all"
    assert of("TXT", expected_records("example.nl", NOTHING, [node]))[0][1] == "v=spf1 mx ~all"


def test_nothing_is_an_alias_of_itself() -> None:
    assert of("CNAME", expected_records("example.nl", NOTHING, [])) == []
    own = Platform(mail_host="mail.example.nl")
    assert of("CNAME", expected_records("example.nl", own, [])) == []
    node = Node(name="a", host="mx1.mail.example")
    assert of("CNAME", expected_records("example.nl", own, [node])) == [
        ("mail", "mx1.mail.example.", None)
    ]


def test_keys_are_aliases_once_nodes_sign() -> None:
    signing = Platform(mail_host="mail.example", dkim_domain="keys.mail.example")
    assert of("CNAME", expected_records("example.nl", signing, []))[:2] == [
        ("mc1._domainkey", "mc1._domainkey.keys.mail.example.", None),
        ("mc2._domainkey", "mc2._domainkey.keys.mail.example.", None),
    ]


def test_the_panel_tells_mail_programs_their_settings() -> None:
    panel = Platform(web_host="panel.example")
    assert of("CNAME", expected_records("example.nl", panel, [])) == [
        ("autoconfig", "panel.example.", None)
    ]


def test_a_priority_of_nought_is_one() -> None:
    node = Node(name="a", host="mx1.mail.example", mx_priority=0)
    assert of("MX", expected_records("example.nl", NOTHING, [node])) == [
        ("@", "mx1.mail.example.", 0)
    ]


def test_names_are_relative_and_can_be_full() -> None:
    names = [one.full_name("example.nl") for one in expected_records("example.nl", NOTHING, [])]
    assert names == ["example.nl", "example.nl", "_dmarc.example.nl"]


def test_data_is_as_in_a_zone_file() -> None:
    data = [one.data for one in expected_records("example.nl", PLATFORM, [])]
    assert data[:2] == ["10 mail.provider.example.", '"v=spf1 include:_spf.provider.example ~all"']
    assert data[-1] == "0 1 465 mail.provider.example."


def test_a_home_comes_first_and_the_others_are_its_backups() -> None:
    nodes = [
        Node(name="a", host="mx1.mail.example", mx_priority=5),
        Node(name="b", host="mx2.mail.example"),
        Node(name="c", host="mx3.mail.example", mx_priority=50),
    ]
    records = expected_records("example.nl", PLATFORM, nodes, "mx2.mail.example")
    assert of("MX", records) == [
        ("@", "mx2.mail.example.", 10),
        ("@", "mx1.mail.example.", 20),
        ("@", "mx3.mail.example.", 50),
    ]
    assert of("CNAME", records) == [("mail", "mx2.mail.example.", None)]
    lost = expected_records("example.nl", PLATFORM, nodes, "mx4.mail.example")
    assert of("MX", lost)[0] == ("@", "mx1.mail.example.", 5)
