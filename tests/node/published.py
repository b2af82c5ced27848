"""A node whose panel is the test: it says what mailboxes there are."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.agent.fake_panel import FakePanel, export
from tests.node.mail_server import MailServer, short_folder


class PublishedServer(MailServer):
    """One node; `publish` says what the panel has for it."""

    def __init__(self, root: Path, panel: FakePanel) -> None:
        super().__init__(root)
        self.panel = panel
        self._revision = 0

    @classmethod
    @contextmanager
    def temporary(cls) -> Iterator[PublishedServer]:
        """One that runs Dovecot."""
        panel = FakePanel()
        with closing(panel), short_folder() as folder:
            server = cls(folder, panel)
            server.publish([])
            with server.dovecot():
                yield server

    def publish(
        self, boxes: Sequence[dict[str, Any]], aliases: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Let the panel have these mailboxes, and the agent fetch them."""
        self._revision += 1
        self.panel.answer = export(
            list(boxes), revision=self._revision, aliases=tuple(aliases), allow_shrink=True
        )
        command = self.agent("once", self.panel.url)
        subprocess.run(command, check=True, capture_output=True)
