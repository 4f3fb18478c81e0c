"""docs/api.md tells what the API does: its examples are run, its paths and codes are those of the code."""

import json
import re
import shlex
from pathlib import Path

from bridge.web import problems
from bridge.web.codes import CODES
from bridge.web.routes import ROUTES
from tests.service.conftest import event

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "api.md").read_text()
CODE = "\n".join(path.read_text() for path in sorted((ROOT / "bridge" / "web").glob("*.py")))
#: Different each time, and compared by kind only.
VARYING = {"id", "traceId", "X-Request-Id", "url", "sequence", "nextCursor", "secret"}
EXAMPLES = re.findall(r"```sh\n(curl.*?)\n```\n\n```http\n(.*?)\n```", TEXT, re.DOTALL)


def test_every_path_is_documented_and_every_documented_path_is_there():
    documented = re.findall(r"^### `([A-Z]+ /\S+)`$", TEXT, re.MULTILINE)
    served = {
        f"{route.method} {route.path}" for route in ROUTES if route.path.startswith(("/v1/", "/healthz", "/readyz"))
    }
    assert sorted(documented) == sorted(served)


def test_every_code_is_documented_and_every_documented_code_is_there():
    documented = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", TEXT, re.MULTILINE)
    declared = {(str(status), code) for code, (status, _) in CODES.items()}
    used = set(re.findall(r"Problem\(\s*(\d{3}),\s*\"(\w+)\"", CODE))
    used |= set(re.findall(r"^    (\d{3}): \(\"(\w+)\"", CODE, re.MULTILINE))
    used |= {("422", "validation_failed"), ("422", "nonexistent_local_time"), ("422", "unsupported_rrule")}
    used |= {("400", "bad_request")} | {("409", code) for code, _ in problems._NOT_BOOKABLE.values()}
    assert set(documented) == declared == used


def test_every_code_of_a_field_is_documented_and_every_documented_one_is_there():
    documented = set(re.findall(r"^\| `(\w+)` \|", TEXT.partition("In `errors`:")[2], re.MULTILINE))
    behind = [*(ROOT / "bridge" / "service").rglob("*.py"), *(ROOT / "bridge" / "domain").rglob("*.py")]
    service = "\n".join(path.read_text() for path in behind)
    used = set(re.findall(r"(?:wrong\(\"\w+\"|BadTime\(|FieldProblem\(\s*[^,\n]+),\s*\"(\w+)\"", CODE + service))
    used -= {"unknown_scope"}  # of tokens, which are made on the command line
    used |= set(re.findall(r"BadTime\(\"(\w+)\"", CODE)) | {"missing"}
    used |= set(
        re.findall(r"^    \"\w+\": \"(\w+)\",$", CODE.partition("_CODES = {")[2].partition("}")[0], re.MULTILINE)
    )
    used |= {"invalid_value"}
    assert documented == used


def curl(line, variables):
    """What a command would send: method, address, headers, body, query."""
    command, _, here = line.partition(" <<END\n")
    body = here.removesuffix("\nEND")
    for name, value in variables.items():
        command, body = command.replace(f"${name}", value), body.replace(f"${name}", value)
    words = iter(shlex.split(command.replace("\\\n", " "))[1:])
    method, address, headers, data, query = None, "", {}, None, []
    for word in words:
        match word:
            case "-i":
                pass
            case "-G":
                method = "GET"
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                query.append(next(words))
            case "--json":
                text = next(words)
                data = (body if text == "@-" else text).encode()
                headers["Content-Type"] = "application/json"
                method = method or "POST"
            case _:
                address = word
    assert "$" not in address + str(headers) + str(data), "a variable that the page does not explain"
    return method or "GET", address + ("?" + "&".join(query) if query else ""), headers, data


def agrees(documented, found, complete=True):
    """Whether an answer is as documented; `…` stands for further fields."""
    if isinstance(documented, dict):
        more = documented.pop("…", None)
        assert documented.keys() <= found.keys() if more else documented.keys() == found.keys()
        for name, value in documented.items():
            if name in VARYING:
                assert type(value) is type(found[name]), name
            else:
                agrees(value, found[name])
    elif isinstance(documented, list):
        assert len(documented) == len(found)
        for one, other in zip(documented, found, strict=True):
            agrees(one, other)
    else:
        assert documented == found


async def test_every_example_is_answered_as_documented(api):
    text = event("dentist", start="20300115T090000", end="20300115T100000")
    api.world.server.edit(api.world.urls["Work"], "dentist.ics", text)
    await api.poll()
    api = api.with_token(scopes=("admin",))
    variables = {
        "BRIDGE": "",
        "TOKEN": api.token,
        "LOCATION": "loc",
        "CALENDAR": api.world.booking_calendar_id,
        "USER_ID": "ada",
    }
    assert len(EXAMPLES) >= 12
    for command, documented in EXAMPLES:
        method, address, headers, data = curl(command, variables)
        answer = await api(method, address, data=data, headers=headers)
        head, _, body = documented.partition("\n\n")
        status, *lines = head.splitlines()
        assert answer.status == int(status.split()[1]), (command, answer.json)
        if answer.status == 201 and "/events/" in address:
            variables["SLOT" if "block-slots" in address else "APPOINTMENT"] = answer.json["id"]
        for name, value in variables.items():
            lines, body = [line.replace(f"${name}", value) for line in lines], body.replace(f"${name}", value)
        for line in lines:
            name, _, value = line.partition(": ")
            assert name in VARYING or answer.headers[name] == value
        wanted = json.loads(re.sub(r"…(\s*})", r'"…": true\1', body)) if body else None
        if wanted is None:
            assert answer.json is None
        else:
            agrees(wanted, answer.json)
