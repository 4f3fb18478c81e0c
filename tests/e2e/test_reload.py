"""The settings file of a running bridge is changed: what it declares comes and goes without a restart."""

from __future__ import annotations

import datetime as dt
import json
import signal

from .conftest import Serving
from .people import Subscriber, ask, event
from .processes import child, eventually

SATURDAY = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0) + dt.timedelta(days=30)


def test_a_change_of_the_file_holds_without_a_restart(serving: Serving) -> None:
    config = serving.directory / "config" / "bridge.toml"
    plain = config.read_text()
    secret = serving.directory / "ada.password"
    declared = f"""[[users]]
id = "ada"
location = "loc_1"
time_zone = "Europe/Berlin"
[[users.accounts]]
provider = "home"
username = "{serving.login.username}"
password_file = "{secret}"
primary = "Home"
conflicts = ["Work"]
"""
    serving.login.put(serving.calendars["Work"], "e.ics", event("e", SATURDAY, title="Dentist"))
    program = serving.start()
    sidecar = child(program, "sidecar")
    token = json.loads(serving.done("token", "add", "crm", "--json"))["token"]

    def said(text: str) -> bool:
        return text in program.errors()

    # Somebody new, whose password comes later, and at first for everybody to read.
    config.write_text(plain + declared)
    eventually(lambda: said("names a file that can't be read"))
    secret.touch(mode=0o644)
    secret.write_text(serving.login.password)
    eventually(lambda: said("names a file that everybody can read"))
    secret.chmod(0o600)
    eventually(lambda: said("Primary: none → Home"))
    password = json.loads(serving.done("password", "add", "ada", "phone", "--json"))["password"]
    merged = Subscriber(f"http://127.0.0.1:{serving.radicale_port}/ada/crm/", "ada", password)
    eventually(lambda: [one.title for one in merged.events().values()] == ["Busy"])
    assert "set in config/bridge.toml" in serving.command("user", "remove", "ada", "--yes").err

    # Another setting of theirs: its slots follow. A mistake first, which changes nothing.
    slots = '[users.accounts.slots."Work"]\ntitles = '
    config.write_text(plain + declared + slots + '"all"\n')
    eventually(lambda: said("slots.Work.titles is not one of the allowed values"))
    assert [one.title for one in merged.events().values()] == ["Busy"]
    config.write_text(plain + declared + slots + '"title"\n')
    eventually(lambda: [one.title for one in merged.events().values()] == ["Dentist"])

    # Put back as it was after a mistake: that it is in force again is told too.
    config.write_text(plain + declared + slots + '"titel"\n')
    eventually(lambda: program.errors().count("slots.Work.titles is not one of the allowed values") == 2)
    config.write_text(plain + declared + slots + '"title"\n')
    eventually(lambda: said("bridge.toml is in force; no user had to be changed"))

    # A setting of the bridge itself, and one that has to wait.
    other = plain.replace("[sidecar]\n", '[sidecar]\npublic_url = "https://bridge.example.com/"\n')
    config.write_text(other.replace("[radicale]\n", '[radicale]\nhost = "127.0.0.2"\n'))

    def address() -> str:
        made = ask(
            "POST",
            f"http://127.0.0.1:{serving.sidecar_port}/v1/users/ada/settings-link",
            headers={"Authorization": f"Bearer {token}"},
        )
        return str(made.json["url"])

    eventually(lambda: address().startswith("https://bridge.example.com/link/"))
    assert said("[radicale] host will change with the next start")
    eventually(lambda: said("no longer in the file"))
    assert len(merged.events()) == 1, "who is taken out of the file stays"
    serving.done("user", "change", "ada", "--name", "Countess")

    # Asked by a signal, it looks at once, though nothing has changed.
    program.process.send_signal(signal.SIGHUP)
    eventually(lambda: said("asked to read them again"))
    eventually(lambda: program.errors().count("is in force") == 2)
    assert child(program, "sidecar") == sidecar, "nothing was started again"
    assert program.end() == 0
    assert "Traceback" not in program.errors()
