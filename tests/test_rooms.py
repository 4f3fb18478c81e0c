"""Who may enter which room: what each package imports of the others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: The words that every room uses.
VOCABULARY = {
    "bridge.domain.model",
    "bridge.domain.booking_calendars",
    "bridge.domain.declared",
    "bridge.domain.notes",
    "bridge.domain.schedules",
    "bridge.domain.time_zones",
}

#: Each room, and what of this project it may import. Longest match first.
RULES = {
    "bridge.domain": {"bridge.domain", "bridge.errors"},
    "bridge.store": {"bridge.store", *VOCABULARY, "bridge.errors"},
    "bridge.remote": {"bridge.remote", "bridge.domain.model", "bridge.errors"},
    "bridge.service": {"bridge.service", "bridge.domain", "bridge.store", "bridge.remote.base", "bridge.errors"},
    "bridge.web": {"bridge.web", "bridge.service", *VOCABULARY, "bridge.errors", "bridge.settings"},
    "bridge.worker": {"bridge.service", "bridge.domain.model", "bridge.errors", "bridge.settings"},
    "bridge.sidecar": {
        "bridge.web",
        "bridge.worker",
        "bridge.reload",
        "bridge.app",
        "bridge.store.lock",
        "bridge.settings",
        "bridge.errors",
    },
    "bridge.apply": {
        "bridge.service",
        "bridge.domain.declared",
        "bridge.sentences",
        "bridge.settings",
        "bridge.errors",
    },
    "bridge.reload": {
        "bridge.apply",
        "bridge.app",
        "bridge.domain.declared",
        "bridge.sentences",
        "bridge.settings",
        "bridge.errors",
    },
    "bridge.sentences": {"bridge.domain.trouble", "bridge.errors"},
    "bridge.supervisor": {"bridge.errors"},
    "bridge.servers": {"bridge.supervisor", "bridge.settings"},
    "bridge.logs": set(),
    "bridge.secrets": {"bridge.store", "bridge.errors"},
    "bridge.cli": {
        "bridge.cli",
        "bridge.app",
        "bridge.sidecar",
        "bridge.servers",
        "bridge.supervisor",
        "bridge.apply",
        "bridge.demo",
        "bridge.service",
        "bridge.store.db",
        "bridge.store.lock",
        "bridge.secrets",
        "bridge.settings",
        "bridge.logs",
        "bridge.sentences",
        "bridge.domain.trouble",
        *VOCABULARY,
        "bridge.errors",
    },
    "bridge.demo": {
        "bridge.demo",
        "bridge.app",
        "bridge.servers",
        "bridge.supervisor",
        "bridge.service",
        "bridge.settings",
        "bridge.errors",
    },
    # Puts all of it together.
    "bridge.app": {"bridge"},
    "bridge.__main__": {"bridge.cli"},
    "bridge": set(),
    "bridge.errors": set(),
    "bridge.settings": {
        "bridge.settings",
        "bridge.domain.model",
        "bridge.domain.declared",
        "bridge.domain.time_zones",
        "bridge.errors",
    },
    "radicale_plugin": {"radicale_plugin", "bridge.store", "bridge.domain.model", "bridge.errors"},
}
#: Each with its reason. A new one is a question for review, not a habit.
EXCEPTIONS = {
    # What the loops work with.
    ("bridge.worker", "bridge.app"),
    # Findings and their parts are shown as they are.
    ("bridge.cli.explain", "bridge.domain.explain"),
    ("bridge.cli.explain", "bridge.domain.ical.Part"),
    # The fake reads the UID of what it is given, as a server does.
    ("bridge.remote.memory", "bridge.domain.ical"),
    # Where credentials may go is decided once, and the settings are checked by the same rule.
    ("bridge.settings.tables", "bridge.remote.policy"),
    ("bridge.store.changes", "bridge.domain.changes"),
    ("bridge.store.webhooks", "bridge.domain.webhooks"),
    ("bridge.store.webhooks", "bridge.domain.changes"),
    # Times are written in one way, in answers and in webhooks.
    ("bridge.web.times", "bridge.domain.rfc3339"),
    # CALDAV:expand is the one request whose answer is not stored but computed.
    ("radicale_plugin.expansion", "bridge.domain.ical"),
    # Lines are read and written in one way.
    ("radicale_plugin.busy", "bridge.domain.ical.content"),
    ("radicale_plugin.properties", "bridge.domain.ical.content"),
    # Lines and times are read and written in one way.
    ("radicale_plugin.properties", "bridge.domain.ical.content"),
    ("radicale_plugin.busy", "bridge.domain.ical.content"),
}
#: Libraries that belong to one room.
LIBRARIES = {
    "icalendar": "bridge.domain.ical",
    "sqlite3": "bridge.store",
    "sqlite_utils": "bridge.store",
    "caldav": "bridge.remote",
    "tomlkit": "bridge.settings",
    "niquests": "bridge.remote",
    "radicale": "radicale_plugin",
}


#: Where a library is needed away from home.
ALSO = {"bridge.demo.upstream": {"radicale"}}


def modules():
    for package in ("bridge", "radicale_plugin"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            # `from bridge.store import outbox` imports bridge.store.outbox: judged by the longer name.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name, room):
    return name == room or name.startswith(f"{room}.")


@pytest.mark.parametrize(("module", "path"), [pytest.param(*found, id=found[0]) for found in modules()])
def test_a_room_imports_only_what_it_may(module, path):
    room = next(room for room in sorted(RULES, key=len, reverse=True) if within(module, room))
    for name in imports(path):
        library = name.split(".")[0]
        if library in LIBRARIES:
            home = LIBRARIES[library]
            assert within(module, home) or library in ALSO.get(module, set()), f"{module} imports {name}"
        if library not in {"bridge", "radicale_plugin"}:
            continue
        if name == "bridge" or (name.count(".") == 1 and name.rpartition(".")[2].isupper()):
            continue  # the package's own constants
        if any(module == who and within(name, what) for who, what in EXCEPTIONS):
            continue
        assert any(within(name, allowed) for allowed in RULES[room]), f"{module} imports {name}"


def test_nothing_in_production_knows_that_it_is_being_tested():
    for module, path in modules():
        text = path.read_text()
        assert "PYTEST" not in text, module
        assert "unittest" not in text, module
