"""Settings: what is read, and what stops the start."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from app.config import Settings, WrongSetting

ROOT = Path(__file__).resolve().parents[1]
KEY = "c2l4dGVlbiBieXRlcyBvZiBrZXk="  # in base64, as TSIG keys are
SECRET = "zfQ3-very-secret-indeed-0123456789"

DEFAULTS: dict[str, object] = {
    "instance": ROOT / "instance",
    "database_url": "",
    "secret_key": "",
    "public_url": "http://127.0.0.1:8000",
    "host": "127.0.0.1",
    "two_factor": "off",
    "backup_before_upgrade": "yes",
    "trusted_proxies": 0,
    "workers": 0,
    "mailbox_bcrypt_cost": 10,
    "person_bcrypt_cost": 12,
    "grace_days": 30,
    "mail_host": "",
    "spf_include": "",
    "dkim_domain": "",
    "dns_resolvers": (),
    "dns_private_port": 0,
    "dns_update_server": (),
    "dns_update_key": "",
    "demo_imap_port": 0,
    "smtp_url": "",
    "mail_from": "",
    "alert_webhook": "",
    "metrics_token": "",
    "log_level": "info",
    "rate_wrong_credentials": 60,
    "rate_sign_ins": 20,
    "rate_writes": 600,
    "rate_registrations": 60,
}

RIGHT: dict[str, list[tuple[str, object]]] = {
    "instance": [("/tmp/mailcote", Path("/tmp/mailcote")), ("rel", Path.cwd() / "rel")],
    "database_url": [
        ("sqlite:////var/panel.db", "sqlite:////var/panel.db"),
        ("sqlite:///panel2.db", "sqlite:///panel2.db"),
        ("postgresql://u:p@h/n", "postgresql+psycopg://u:p@h/n"),
        ("postgres://h", "postgresql+psycopg://h"),
        ("postgresql+psycopg://u:p%40@h:5432/n", "postgresql+psycopg://u:p%40@h:5432/n"),
        ("postgresql://u@/n?host=/run/pg", "postgresql+psycopg://u@/n?host=/run/pg"),
        ("postgresql://u:a#b:c@[::1]:5432/n", "postgresql+psycopg://u:a#b:c@[::1]:5432/n"),
    ],
    "secret_key": [(SECRET, SECRET), ("x" * 32, "x" * 32)],
    "public_url": [
        ("https://panel.example.nl", "https://panel.example.nl"),
        ("HTTPS://Panel.Example.NL/", "https://panel.example.nl"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://panel.XN--mnchen-3ya.example", "https://panel.xn--mnchen-3ya.example"),
    ],
    "two_factor": [("admins", "admins"), ("everyone", "everyone"), ("off", "off")],
    "backup_before_upgrade": [("no", "no"), ("yes", "yes")],
    "host": [("0.0.0.0", "0.0.0.0"), ("::", "::"), ("Localhost", "localhost")],
    "trusted_proxies": [("0", 0), ("10", 10)],
    "workers": [("0", 0), ("64", 64)],
    "mailbox_bcrypt_cost": [("4", 4), ("14", 14)],
    "person_bcrypt_cost": [("4", 4), ("14", 14)],
    "grace_days": [("0", 0), ("3650", 3650)],
    "mail_host": [("mail.example.nl", "mail.example.nl"), ("Mail", "mail")],
    "spf_include": [("_spf.example.nl", "_spf.example.nl"), ("SPF.Example.nl", "spf.example.nl")],
    "dkim_domain": [("dkim.example.nl", "dkim.example.nl")],
    "dns_resolvers": [
        ("9.9.9.9", (("9.9.9.9", 53),)),
        ("192.0.2.1:5353,[2001:db8::1]:53", (("192.0.2.1", 5353), ("2001:db8::1", 53))),
        ("2001:DB8::1,[::1]", (("2001:db8::1", 53), ("::1", 53))),
    ],
    "dns_private_port": [("0", 0), ("65535", 65535)],
    "dns_update_server": [("127.0.0.1:5300", (("127.0.0.1", 5300),))],
    "dns_update_key": [(f"hmac-sha256:mailcote:{KEY}", f"hmac-sha256:mailcote:{KEY}")],
    "demo_imap_port": [("0", 0), ("65535", 65535)],
    "smtp_url": [
        ("smtp://mail.example.nl", "smtp://mail.example.nl"),
        ("smtps://u:p@mail.example.nl:465", "smtps://u:p@mail.example.nl:465"),
    ],
    "mail_from": [("panel@example.nl", "panel@example.nl")],
    "alert_webhook": [
        ("https://hooks.example.nl/x?y=z", "https://hooks.example.nl/x?y=z"),
        ("http://127.0.0.1:5678/webhook", "http://127.0.0.1:5678/webhook"),
        ("http://[::1]/", "http://[::1]/"),
        ("http://localhost", "http://localhost"),
    ],
    "metrics_token": [(SECRET, SECRET), ("!" * 32, "!" * 32), ("~" * 512, "~" * 512)],
    "log_level": [("info", "info"), ("warning", "warning")],
    "rate_wrong_credentials": [("0", 0), ("1000000", 1000000)],
    "rate_sign_ins": [("0", 0), ("1000000", 1000000)],
    "rate_writes": [("0", 0), ("1000000", 1000000)],
    "rate_registrations": [("0", 0), ("1000000", 1000000)],
}

_NUMBERS = ["x", "-1", "+1", "1.0", "1e1", " 1", "1 ", "0x1", "²", "٣", "9" * 5000, "1_0", "true"]

WRONG: dict[str, list[str]] = {
    "instance": [__file__, __file__ + "/x", "~nobody-of-that-name/x", "x" * 5000, "/tmp/what?"],
    "database_url": [
        "x", "sqlite", "sqlite:", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a/",
        "sqlite:///file:x?mode=memory", "sqlite:///x?mode=ro", "mysql://u:p@h/n", "postgresql:",
        "postgresql://", "postgresql://u:p@h:abc/n", "postgresql://u:p@h:1:2/n", "postgresql+x://h",
        "postgresql://h/n\n", " postgresql://h/n", "http://h/n", "postgresql://u:p@[::1/n",
    ],
    "secret_key": ["x", "x" * 31],
    "public_url": [
        "x", "panel.example.nl", "//panel.example.nl", "ftp://panel.example.nl", "https://",
        "https://panel.example.nl/path", "https://panel.example.nl?q", "https://panel.example.nl?",
        "https://panel.example.nl#f", "https://u@panel.example.nl", "https://:p@panel.example.nl",
        "https://panel.example.nl:0", "https://panel.example.nl:99999", "https://panel.nl:x",
        "https://[::1", "https://pa nel.nl", "https://pa\nnel.nl", " https://panel.nl",
        "https://panel.nl//", "https://panel.münchen.example", "https://panel\uff0enl", "https://пример.рф",
    ],
    "two_factor": ["on", "Admins", "admin", "1", " off"],
    "backup_before_upgrade": ["No", "0", "false", "no "],
    "host": ["a b", "http://x", "x/y", "é", "x" * 254, "127.0.0.1\n"],
    "trusted_proxies": [*_NUMBERS, "11"],
    "workers": [*_NUMBERS, "65"],
    "mailbox_bcrypt_cost": [*_NUMBERS, "3", "15"],
    "person_bcrypt_cost": [*_NUMBERS, "3", "15"],
    "grace_days": [*_NUMBERS, "3651"],
    "mail_host": ["a b", "-a", "a.", "a_b", "http://x", "a:25", "é.nl", "x" * 254, "a\n", "user@x"],
    "spf_include": ["x", "a b.nl", "a..b", ".a.b", "a.b.", "é.nl", "a.b\n", "x" * 64 + ".nl"],
    "dkim_domain": ["x", "http://a.b", "a.b:53", "a.b\n"],
    "dns_resolvers": [
        "x", "dns.example.nl", "9.9.9.9:0", "9.9.9.9:65536", "9.9.9.9,", ",9.9.9.9", "9.9.9.9 ",
        "9.9.9", "[9.9.9.9", "2001:db8::1]:53", "[::1]:x", "::1%eth0", "9.9.9.9\n", "٩.9.9.9",
        ",".join(["9.9.9.9"] * 9),
    ],
    "dns_private_port": [*_NUMBERS, "65536"],
    "dns_update_server": ["x", "9.9.9.9,1.1.1.1", "ns.example.nl"],
    "dns_update_key": ["x", KEY, f"mailcote:{KEY}", f"hmac-md5:mailcote:{KEY}",
                       "hmac-sha256:mailcote:short", f"hmac-sha256::{KEY}",
                       f"hmac-sha256:a..b:{KEY}", f"hmac-sha256:{'x' * 64}:{KEY}",
                       f"hmac-sha256:mailcote:{KEY}\n", f"hmac-sha256:mail cote:{KEY}"],
    "demo_imap_port": [*_NUMBERS, "65536"],
    "smtp_url": ["x", "smtp:", "smtp://", "http://h", "smtp://h:x", "smtp://[::1", "smtp://h:70000",
                 "smtp://a b", "smtp://h\n"],
    "mail_from": ["x", "@", "a@", "@b", "a b@c", "a@b\n", " a@b"],
    "alert_webhook": ["x", "https://", "http://hooks.example.nl/", "http://127.0.0.1.nl/",
                      "ftp://127.0.0.1/", "https://u:p@h/", "https://h/#x", "https://h:x/",
                      "https://h/ x", "https://h/\n", "https://h/é"],
    "metrics_token": ["x", "x" * 31, "x" * 513, "x" * 32 + "\n",
                      "x" * 16 + " " + "x" * 16, "é" * 32],
    "log_level": ["x", "INFO", "debug", "error", "info ", "info\n"],
    "rate_wrong_credentials": [*_NUMBERS, "1000001"],
    "rate_sign_ins": [*_NUMBERS, "1000001"],
    "rate_writes": [*_NUMBERS, "1000001"],
    "rate_registrations": [*_NUMBERS, "1000001"],
}  # fmt: skip


def _variable(name: str) -> str:
    return f"MAILCOTE_{name.upper()}"


def _read(name: str, text: str) -> object:
    return getattr(Settings.from_environment({_variable(name): text}), name)


def test_every_setting_is_tested() -> None:
    names = {each.name for each in fields(Settings)}
    assert names == DEFAULTS.keys() == RIGHT.keys() == WRONG.keys()


def test_the_defaults_are_the_contract_s() -> None:
    settings = Settings.from_environment({})
    assert {name: getattr(settings, name) for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize("name", RIGHT)
def test_right_values_are_read(name: str) -> None:
    for text, value in RIGHT[name]:
        assert _read(name, text) == value


@pytest.mark.parametrize("name", WRONG)
def test_it_rejects_wrong_values_and_says_what_is_accepted(name: str) -> None:
    for text in WRONG[name]:
        with pytest.raises(WrongSetting, match=rf"^{_variable(name)} takes .+\.$"):
            _read(name, text)


@pytest.mark.parametrize("name", WRONG)
def test_an_empty_value_is_the_default(name: str) -> None:
    assert _read(name, "") == DEFAULTS[name]


@pytest.mark.parametrize("name", WRONG)
@given(text=st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_any_text_is_read_or_refused(name: str, text: str) -> None:
    try:
        _read(name, text)
    except WrongSetting as refusal:
        assert str(refusal).startswith(_variable(name))


def test_a_refusal_never_repeats_a_value() -> None:
    for name, text in {
        "database_url": f"mysql://root:{SECRET}@h/n",
        "smtp_url": f"mail://root:{SECRET}@h",
        "public_url": f"https://root:{SECRET}@h",
        "secret_key": SECRET[:20],
        "metrics_token": SECRET[:20],
    }.items():
        with pytest.raises(WrongSetting) as refusal:
            _read(name, text)
        assert SECRET[:20] not in str(refusal.value)


def test_secrets_do_not_show() -> None:
    settings = Settings(
        secret_key=SECRET,
        database_url=f"postgresql://u:{SECRET}@h",
        smtp_url=f"smtp://u:{SECRET}@h",
        alert_webhook=f"https://h/{SECRET}",
        metrics_token=SECRET,
    )
    assert SECRET not in repr(settings)


def test_the_database_is_a_file_in_the_instance_folder(tmp_path: Path) -> None:
    settings = Settings(instance=tmp_path)
    assert settings.database == f"sqlite:///{tmp_path}/panel.db"
    assert make_url(settings.database).database == str(tmp_path / "panel.db")


def test_a_relative_database_is_the_same_file_wherever_it_is_asked_from(tmp_path: Path) -> None:
    settings = Settings(instance=tmp_path, database_url="sqlite:///other.db")
    assert settings.database == f"sqlite:///{tmp_path}/other.db"
    absolute = replace(settings, database_url="sqlite:////srv/other.db")
    assert absolute.database == "sqlite:////srv/other.db"


def test_postgresql_is_spoken_to_by_psycopg(tmp_path: Path) -> None:
    url = str(_read("database_url", "postgres://u:p@h:5433/n"))
    assert Settings(database_url=url).database == "postgresql+psycopg://u:p@h:5433/n"
    assert make_url(url).port == 5433


@pytest.mark.parametrize(("url", "is_secure"), [("https://x.nl", True), ("http://x.nl", False)])
def test_cookies_are_secure_where_people_come_by_https(url: str, is_secure: bool) -> None:
    assert Settings(public_url=url).is_public_over_https is is_secure


def test_the_secret_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    made = Settings(instance=tmp_path).secret()
    assert len(made) >= 32
    assert Settings(instance=tmp_path).secret() == made
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_it_rejects_a_secret_key_file_with_nothing_in_it(tmp_path: Path) -> None:
    (tmp_path / "secret_key").touch()
    with pytest.raises(WrongSetting, match="secret_key is damaged"):
        Settings(instance=tmp_path).secret()


def test_a_secret_key_that_is_set_wins(tmp_path: Path) -> None:
    assert Settings(instance=tmp_path, secret_key=SECRET).secret() == SECRET
    assert list(tmp_path.iterdir()) == []


def test_every_setting_has_its_sentence() -> None:
    lines = (ROOT / "app" / "config.py").read_text(encoding="utf-8").splitlines()
    for place, line in enumerate(lines):
        named = re.match(r"    (\w+): .* = ", line)
        if named and named[1] in DEFAULTS and named[1] != "mail_from":
            assert lines[place - 1].startswith("    # ")
