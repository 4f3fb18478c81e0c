"""Which package may import which: `RULES`, with a few `EXCEPTIONS`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: The vocabulary, which every package may use.
VOCABULARY = {
    "bridge.domain.model",
    "bridge.domain.booking_calendars",
    "bridge.domain.declared",
    "bridge.domain.english",
    "bridge.domain.notes",
    "bridge.domain.schedules",
    "bridge.domain.time_zones",
}

#: Each package or module, and what of this project it may import. The longest matching name counts.
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
#: (importing module, what it imports), each with its reason. Adding one needs a good reason.
EXCEPTIONS = {
    # The loops need the whole Bridge, not just the Context.
    ("bridge.worker", "bridge.app"),
    # These commands print findings.
    ("bridge.cli.explain", "bridge.domain.explain"),
    ("bridge.cli.explain", "bridge.domain.ical.Part"),
    # The fake reads the UIDs of objects, as a server does.
    ("bridge.remote.memory", "bridge.domain.ical"),
    # The settings are checked by the rule that decides where credentials may be sent.
    ("bridge.settings.tables", "bridge.remote.policy"),
    # These are what these modules store.
    ("bridge.store.changes", "bridge.domain.changes"),
    ("bridge.store.webhooks", "bridge.domain.webhooks"),
    ("bridge.store.webhooks", "bridge.domain.changes"),
    # Answers of the API have the same format for times as webhooks.
    ("bridge.web.times", "bridge.domain.rfc3339"),
    # CALDAV:expand is the only request whose answer is computed rather than stored.
    ("radicale_plugin.expansion", "bridge.domain.ical"),
    # Content lines are read and written by the same code everywhere.
    ("radicale_plugin.busy", "bridge.domain.ical.content"),
    ("radicale_plugin.properties", "bridge.domain.ical.content"),
    # Busy times are joined by the same code as those of availability.
    ("radicale_plugin.sampled_calendar", "bridge.domain.hours.merged"),
}
#: Libraries that only one package may import.
LIBRARIES = {
    "icalendar": "bridge.domain.ical",
    "sqlite3": "bridge.store",
    "sqlite_utils": "bridge.store",
    "caldav": "bridge.remote",
    "tomlkit": "bridge.settings",
    "niquests": "bridge.remote",
    "radicale": "radicale_plugin",
}

#: Modules outside that package that may import them, too.
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


def within(name, package):
    return name == package or name.startswith(f"{package}.")


def rule_for(module):
    return max((package for package in RULES if within(module, package)), key=len)


@pytest.mark.parametrize(("module", "path"), [pytest.param(*found, id=found[0]) for found in modules()])
def test_a_module_imports_only_what_it_may(module, path):
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
        assert any(within(name, allowed) for allowed in RULES[rule_for(module)]), f"{module} imports {name}"


def test_every_rule_and_exception_is_needed():
    known = dict(modules())
    assert {rule_for(module) for module in known} == set(RULES)
    for module, what in EXCEPTIONS:
        assert any(within(name, what) for name in imports(known[module])), f"{module} no longer imports {what}"
        assert not any(within(what, allowed) for allowed in RULES[rule_for(module)]), f"{module} may import {what}"


@pytest.mark.parametrize("package", ["bridge", "bridge/service", "bridge/domain/ical", "radicale_plugin"])
def test_a_package_tells_what_each_of_its_modules_is_for(package):
    told = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text()))
    found = [path for path in (ROOT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    missing = {path.stem for path in found if not path.stem.startswith("__") and f"`{path.stem}`" not in told}
    assert not missing, f"name them in the docstring of {package}"


def test_nothing_in_production_knows_that_it_is_being_tested():
    for module, path in modules():
        text = path.read_text()
        assert "PYTEST" not in text, module
        assert "unittest" not in text, module
