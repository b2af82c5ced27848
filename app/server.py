"""Settings of the production server, gunicorn (https://docs.gunicorn.org/en/stable/settings.html).

`mailcote serve` runs it with this file. One process for each core, since Python computes in one
thread at a time; many threads in each, since requests wait for password hashes and for disks.

Nothing of the application is imported here: this runs in the master, which lives on when HUP
replaces its workers, and these would inherit whatever the master knows instead of what is
installed by then.
"""

from __future__ import annotations

import gc
import logging.config
import os
import resource
import runpy
import shutil
import tempfile
from pathlib import Path
from typing import Any

worker_class = "gthread"
# Checked as every setting is by whoever starts this; empty and 0 mean one for each core.
workers = int(os.environ.get("MAILCOTE_WORKERS") or 0) or os.cpu_count() or 1
# Nodes wait for changes, each in a thread that sleeps: it takes about 40 kB. So many may wait, in
# one process if need be; the others are for everybody else.
_SEATS, _OTHERS = 1024, 96
threads = _SEATS + _OTHERS
worker_connections = 2 * threads
timeout = 60
graceful_timeout = 30
keepalive = 75
# A node's or browser's request line fits; what is longer is refused before the application.
limit_request_line = 8190
# The control socket would be one more door, shared by name between all panels of a user.
control_socket_disable = True
# Who the client is, the application says by MAILCOTE_TRUSTED_PROXIES; here nobody is believed.
forwarded_allow_ips = ""
errorlog = "-"
loglevel = "warning"
_log_level = os.environ.get("MAILCOTE_LOG_LEVEL") or "info"
# The master's lines have the form of the workers'; the file, unlike the package, may be read here.
_log_lines = runpy.run_path(str(Path(__file__).with_name("log_lines.py")))
logconfig_dict = _log_lines["configuration"](_log_level)

# Where the workers count (app/counters.py). This file is read again at each HUP, which must not
# begin anew: the folder is named after this master, and goes with it.
_own = f"mailcote-{os.getpid()}-"
if not Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")).name.startswith(_own):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=_own)
_counts = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


# A connection and a file each: the usual limit of 1024 open files is for programs that use select.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_enough = 8192 if _hard == resource.RLIM_INFINITY else min(8192, _hard)
resource.setrlimit(resource.RLIMIT_NOFILE, (max(_soft, _enough), _hard))


def post_worker_init(worker: Any) -> None:
    """Start what each worker does by itself."""
    from app import housekeeping, log_lines, schema, upgrade  # see above

    logging.config.dictConfig(log_lines.configuration(_log_level))
    gc.freeze()  # what has been made stays, and need not be looked through again
    app = worker.app.wsgi()
    desk = app.extensions.get("node_desk")
    if desk is None:  # a bare application, which the panel is measured beside
        return
    desk.room.seats = _SEATS
    desk.room.is_stopping = lambda: not worker.alive
    with app.app_context():
        try:
            upgrade.bring_up_to_date()  # what was installed before a HUP may need newer tables
        except schema.CannotUpgrade:
            worker.log.exception("the database stays as it is")
    housekeeping.start(app)


def child_exit(_server: Any, worker: Any) -> None:
    """Forget what a worker was at; what it has done stays counted."""
    for file in _counts.glob(f"gauge_live*_{worker.pid}.db"):
        file.unlink(missing_ok=True)


def on_exit(_server: Any) -> None:
    """Leave nothing behind."""
    shutil.rmtree(_counts, ignore_errors=True)
