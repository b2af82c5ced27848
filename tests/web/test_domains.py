"""The pages of domains."""

from __future__ import annotations

from flask import Flask

from app.caller import command_line
from app.extensions import db
from app.models import Domain
from app.operations import OPERATIONS
from tests.conftest import PASSWORD
from tests.web.conftest import MAX_QUERIES, Browser, without_tokens


def add_mailboxes(app: Flask, count: int) -> None:
    """Give example.nl so many mailboxes."""
    with app.app_context():
        caller = command_line().in_project(1)
        for number in range(count):
            email = f"box{number:02}@example.nl"
            OPERATIONS["add-user"](caller, email=email, password=PASSWORD)


def is_on(app: Flask, name: str) -> bool:
    with app.app_context():
        domain: Domain = db.session.scalars(db.select(Domain).where(Domain.name == name)).one()
        return domain.email_enabled


def test_it_works(alice: Browser) -> None:
    page = alice.get("/domains").text
    assert page.index("example.nl") < page.index("parked.nl")
    assert ("E-mail on" in page, "E-mail off" in page) == (True, True)
    assert "charlie.nl" not in page


def test_a_name_in_unicode_is_shown_with_its_stored_form(app: Flask, alice: Browser) -> None:
    with app.app_context():
        OPERATIONS["assign-domain"](command_line(), domain="bücher.example", project_id=1)
    assert "xn--bcher-kva.example" in alice.get("/domains").text
    page = alice.get("/domains/bücher.example").text
    assert "<h1>bücher.example</h1>" in page
    assert "xn--bcher-kva.example" in page


def test_an_empty_list_says_what_to_do(app: Flask, alice: Browser, root: Browser) -> None:
    with app.app_context():
        for name in ("example.nl", "parked.nl"):
            OPERATIONS["remove-domain"](command_line(), domain=name)
    page = alice.get("/domains").text
    assert "No domain is linked yet" in page
    assert 'href="/domains/new"' in page
    assert "Link a domain" in root.get("/domains").text


def test_email_is_turned_on_by_one_button(app: Flask, alice: Browser) -> None:
    assert "Turn e-mail on" in alice.get("/domains/parked.nl").text
    page = alice.follow(alice.post("/domains/parked.nl/enable"))
    assert "E-mail is on for parked.nl." in page.text
    assert is_on(app, "parked.nl")


def test_email_is_turned_off_after_a_question(app: Flask, alice: Browser) -> None:
    assert "Turn e-mail off for example.nl?" in alice.get("/domains/example.nl/disable").text
    page = alice.follow(alice.post("/domains/example.nl/disable"))
    assert "E-mail is off for example.nl." in page.text
    assert not is_on(app, "example.nl")


def test_the_question_also_is_a_part_for_the_dialog(alice: Browser) -> None:
    part = alice.part("/domains/example.nl/disable").text
    assert 'id="dialog-title"' in part
    assert "<html" not in part


def test_email_stays_on_while_there_are_mailboxes(app: Flask, alice: Browser) -> None:
    alice.get("/domains/example.nl/disable")
    add_mailboxes(app, 2)
    page = alice.post("/domains/example.nl/disable")
    assert page.status_code == 409
    assert "example.nl still has 2 active mailboxes" in page.text
    assert 'href="/mailboxes?domain=example.nl"' in page.text
    assert "data-focus" in page.text
    assert is_on(app, "example.nl")


def test_it_shows_the_first_ten_mailboxes(app: Flask, alice: Browser) -> None:
    add_mailboxes(app, 11)
    page = alice.get("/domains/example.nl").text
    assert "box09@example.nl" in page
    assert "box10@example.nl" not in page
    assert "Show all 11" in page


def test_it_shows_the_records_that_the_dns_needs(alice: Browser) -> None:
    page = alice.get("/domains/example.nl").text
    assert 'data-copy="mail.example.nl."' in page
    assert 'data-copy="v=spf1 mx ~all"' in page
    assert 'data-copy="v=DMARC1; p=none"' in page
    assert "Not checked yet" in page


def test_it_hides_from_strangers(app: Flask, charlie: Browser) -> None:
    absent = charlie.get("/domains/absent.nl")
    foreign = charlie.get("/domains/example.nl")
    assert absent.status_code == foreign.status_code == 404
    seen = [absent.text.replace("absent.nl", ""), foreign.text.replace("example.nl", "")]
    assert without_tokens(seen[0]) == without_tokens(seen[1])
    assert charlie.get("/domains/example.nl/disable").status_code == 404
    assert charlie.post("/domains/example.nl/disable").status_code == 404
    assert charlie.post("/domains/parked.nl/enable").status_code == 404
    assert is_on(app, "example.nl")
    assert not is_on(app, "parked.nl")


def test_what_is_no_domain_is_not_found(alice: Browser) -> None:
    for name in ("x", "%22%3E%3Csvg%20onload=1%3E", "a..b", "1.2.3.4"):
        page = alice.get(f"/domains/{name}")
        assert page.status_code == 404
        assert "<svg onload" not in page.text


def test_they_ask_the_database_little_however_much_there_is(
    app: Flask, alice: Browser, root: Browser
) -> None:
    add_mailboxes(app, 11)
    for browser in (alice, root):
        for path in ("/domains", "/domains/example.nl", "/domains/example.nl/disable"):
            assert browser.get(path).status_code == 200
            assert len(browser.queries) <= MAX_QUERIES, (path, browser.queries)


def test_a_domain_is_linked_in_two_steps(app: Flask, alice: Browser) -> None:
    assert 'name="domain"' in alice.get("/domains/new").text
    page = alice.follow(alice.post("/domains/new", domain=" Bücher.nl "))
    assert "<h1>bücher.nl</h1>" in page.text
    assert 'data-copy="_mailcote"' in page.text
    assert 'data-copy="mailcote-verification=' in page.text
    listed = alice.get("/domains").text
    assert "On their way" in listed
    refused = alice.post("/domains/xn--bcher-kva.nl/verify")
    assert refused.status_code == 409
    assert "is not registered" in refused.text
    assert "data-focus" in refused.text
    page = alice.follow(alice.post("/domains/xn--bcher-kva.nl/unlink"))
    assert "bücher.nl is no longer linked" in page.text


def test_it_rejects_what_cannot_be_linked(alice: Browser) -> None:
    alice.get("/domains/new")
    for name in ("", "x", "a..b", "1.2.3.4", "http://new.nl", "a" * 300 + ".nl"):
        page = alice.post("/domains/new", domain=name)
        assert page.status_code == 422
        assert "Error:" in page.text


def test_a_claim_is_hidden_from_strangers(alice: Browser, charlie: Browser) -> None:
    alice.post("/domains/new", domain="new.nl")
    assert "new.nl" not in charlie.get("/domains").text
    charlie.get("/domains/new")
    for path in ("/domains/new.nl", "/domains/new.nl/unlink"):
        assert charlie.get(path).status_code == 404
    for path in ("/domains/new.nl/verify", "/domains/new.nl/unlink", "/domains/new.nl/check"):
        assert charlie.post(path).status_code == 404
    for path in ("/domains/example.nl/records", "/domains/example.nl/zone-file"):
        assert charlie.get(path).status_code == 404


def test_unlinking_is_asked_about(app: Flask, alice: Browser) -> None:
    assert "Unlink parked.nl?" in alice.get("/domains/parked.nl/unlink").text
    add_mailboxes(app, 1)
    refused = alice.post("/domains/example.nl/unlink")
    assert refused.status_code == 409
    assert 'href="/mailboxes?domain=example.nl"' in refused.text
    page = alice.follow(alice.post("/domains/parked.nl/unlink"))
    assert "parked.nl is no longer linked." in page.text
    assert alice.get("/domains/parked.nl").status_code == 404


def test_the_records_are_looked_at_again(alice: Browser) -> None:
    assert "Not checked yet" in alice.get("/domains/example.nl").text
    page = alice.follow(alice.post("/domains/example.nl/check"))
    assert "Last checked" in page.text
    assert "Not found yet" in page.text
    assert "Waits for the DNS" in page.text
    part = alice.part("/domains/example.nl/records?opened=1")
    assert 'hx-trigger="every 60s"' in part.text
    assert "<html" not in part.text
    assert 'hx-trigger="every 20s"' in alice.part("/domains/example.nl/records?opened=x").text


def test_the_records_can_be_taken_along(alice: Browser) -> None:
    page = alice.get("/domains/example.nl").text
    assert "mailto:?subject=Records%20for%20the%20mail%20of%20example.nl&amp;body=" in page
    answer = alice.get("/domains/example.nl/zone-file")
    assert answer.mimetype == "text/dns"
    assert 'filename="example.nl.zone"' in answer.headers["Content-Disposition"]
    assert "$ORIGIN example.nl." in answer.text


def test_an_admin_says_what_was_registered_here(app: Flask, root: Browser) -> None:
    page = root.follow(root.post("/admin/domains/example.nl/registered", registered_here="y"))
    assert "has its records written by itself" in page.text
    assert "Managed by us" in root.get("/domains/example.nl?project=1").text
    page = root.follow(root.post("/admin/domains/example.nl/registered"))
    assert "left alone" in page.text
