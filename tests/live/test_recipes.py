"""docs/recipes.md: every snippet is run as it stands, against `bridge serve` and a CalDAV server in iCloud's place."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bridge.demo.ports import free_ports
from tests import upstreams
from tests.e2e.conftest import RADICALE
from tests.e2e.processes import BRIDGE, PATIENCE, Program, eventually

TEXT = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
SHELL = [block for language, block in BLOCKS if language == "sh"]
PYTHON = [block for language, block in BLOCKS if language == "python"]
JAVASCRIPT = [block for language, block in BLOCKS if language == "js"]


class Received:
    """What a webhook's receiver got."""

    def __init__(self):
        self.messages = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler):
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in handler.headers.items()}
                self.messages.append((headers, body))
                handler.send_response(204)
                handler.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/bridge"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver():
    received = Received()
    yield received
    received.server.shutdown()
    received.server.server_close()


@pytest.fixture
def place(tmp_path):
    """Where somebody follows the recipes: an empty folder with a password, and a server in iCloud's place."""
    with upstreams.radicale(tmp_path / "upstream") as upstream:
        login = upstream.login("ada@example.com")
        home, _ = login.make_calendar("Home"), login.make_calendar("Work")
        folder = tmp_path / "bridge"
        (folder / "config").mkdir(parents=True)
        sidecar, radicale = free_ports(2)
        (folder / "config" / "bridge.toml").write_text(
            f"[sidecar]\nport = {sidecar}\n[radicale]\nport = {radicale}\nconfig = '{RADICALE}'\n"
            f"[mirror]\npoll_seconds = 1\n[webhooks]\nnetworks = ['127.0.0.1']\n"
            f"[providers.icloud]\nurl = '{upstream.url}'\n"
        )
        login.password = "abcd-efgh-ijkl-mnop"
        login._set_password(login.username, login.password)
        password = folder / "app-password.txt"
        password.write_text(f"{login.password}\n")
        password.chmod(0o600)
        yield folder, sidecar, login, home


def test_from_nothing_to_appointments_and_webhooks(place, node, receiver):
    if shutil.which("jq") is None:
        pytest.fail("apt install jq") if os.environ.get("CI") else pytest.skip("jq is needed: apt install jq")
    folder, port, login, home = place
    serve, *others = SHELL
    assert serve == "bridge serve\n"
    (folder / "book.py").write_text(PYTHON[0])
    (folder / "book.js").write_text(JAVASCRIPT[0])
    script = ["set -euo pipefail", *others, '"$PYTHON" book.py', "node book.js"]
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "RECEIVER": receiver.url,
    }
    program = Program([*BRIDGE, "serve"], folder)
    try:
        program.line("Ready.")
        done = subprocess.run(
            ["bash", "-c", "\n".join(script).replace("127.0.0.1:8080", f"127.0.0.1:{port}")],
            check=False, cwd=folder, env=env, capture_output=True, text=True, timeout=2 * PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout, done.stderr, program.errors())
        said = done.stdout.splitlines()[-5:]
        assert re.fullmatch(r"Intro call at \S+\+0[12]:00: synced", said[0]), said
        assert said[1] == '{"email":"grace@example.com","answer":null}'
        assert said[2] == "cancelled"
        assert said[3].startswith("Demo at "), "the first free time, which was given back"
        assert said[4].startswith("Second demo at ")
        events = eventually(lambda: [found for found in [login.texts(home)] if len(found) == 2])[0]
        name = next(name for name, ics in events.items() if "SUMMARY:Demo" in ics)
        login.put(home, name, events[name].replace("SUMMARY:Demo", "SUMMARY:Lunch and demo"))
        message = eventually(lambda: receiver.messages[:1])[0]
    finally:
        program.close()
    secret = (folder / "webhook-secret.txt").read_text().strip()
    told = json.loads(message[1])
    assert (told["type"], told["appointment"]["title"]) == ("AppointmentUpdate", "Lunch and demo")
    check_verification(node, secret, *message)


def check_verification(node, secret, headers, body):
    """What the page's two `verify` say of a message, and of what others may send."""
    ours = {name: headers[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    old = {**ours, "webhook-timestamp": str(int(ours["webhook-timestamp"]) - 600)}
    two_keys = {**ours, "webhook-signature": f"v1,{'A' * 43}= {ours['webhook-signature']}"}
    cases = [
        (secret, ours, body, True),
        (secret, two_keys, body, True),
        (secret, ours, body + b" ", False),
        (secret, {**ours, "webhook-id": "msg_other"}, body, False),
        (secret, old, body, False),
        (secret, {**ours, "webhook-timestamp": "now"}, body, False),
        (secret, {**ours, "webhook-signature": "v1,é"}, body, False),
        (secret, {}, body, False),
        ("whsec_" + "A" * 43 + "=", ours, body, False),
    ]
    namespace = {}
    exec(compile(PYTHON[1], "recipes.md", "exec"), namespace)
    assert [namespace["verify"](key, sent, raw) for key, sent, raw, _ in cases] == [wanted for *_, wanted in cases]
    asked = json.dumps([[key, sent, raw.decode()] for key, sent, raw, _ in cases])
    program = JAVASCRIPT[1] + (
        "\nconst cases = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));"
        "\nconsole.log(JSON.stringify(cases.map(([key, sent, raw]) => verify(key, sent, Buffer.from(raw)))));"
    )
    done = subprocess.run([node, "-e", program], check=False, input=asked, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [wanted for *_, wanted in cases]


def test_there_is_nothing_on_the_page_that_is_not_tried():
    assert [language for language, _ in BLOCKS if language not in {"sh", "python", "js"}] == []
    assert (len(PYTHON), len(JAVASCRIPT)) == (2, 2)
