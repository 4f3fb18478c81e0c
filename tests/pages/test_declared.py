"""What the settings file declares is marked on the pages, and can't be changed there."""

from __future__ import annotations

import pytest

from bridge.domain.declared import DeclaredSetting, What
from bridge.service import roles, users, webhooks
from bridge.service.webhooks import Signature, WebhookChange
from bridge.store import declared

SET = "Set by the administrator"


def declare(site, *settings):
    with site.world.db.write() as tx:
        declared.replace(
            tx, {DeclaredSetting(what, "ada", subject) for what, subject in settings}, "config/bridge.toml"
        )


@pytest.fixture
def all_declared(site):
    world = site.world
    declare(
        site,
        (What.USER, "ada"),
        (What.ACCOUNT, world.account_id),
        (What.PRIMARY, "ada"),
        (What.CONFLICTS, world.account_id),
        (What.SLOTS, world.ids["Work"]),
    )
    return site


async def test_it_is_marked_and_there_is_no_button_that_could_not_work(all_declared):
    ada = await all_declared.signed_in()

    integrations, calendars = await ada.get("/profile/integrations"), await ada.get("/profile/calendars")

    assert integrations.text.count(SET) == 1
    assert "Disconnect" not in integrations.text
    assert "Reconnect" not in integrations.text
    assert calendars.text.count(SET) == 3
    assert "Edit" not in calendars.text
    assert calendars.text.count("Settings of") == 1


async def test_without_a_declaration_nothing_is_marked(site):
    ada = await site.signed_in()

    for path in ("/profile/integrations", "/profile/calendars", "/profile/calendars/conflicts"):
        assert SET not in (await ada.get(path)).text


@pytest.mark.parametrize(
    "path",
    [
        "/profile/integrations/{account}/disconnect",
        "/profile/integrations/connect?account={account}",
        "/profile/calendars/primary",
        "/profile/calendars/{work}/settings",
    ],
)
async def test_who_types_the_address_is_told_who_can_change_it(all_declared, path):
    ada = await all_declared.signed_in()
    world = all_declared.world

    page = await ada.get(path.format(account=world.account_id, work=world.ids["Work"]))

    assert page.status == 403
    assert "Your administrator has set this" in page.text
    assert "config/bridge.toml" not in page.html, "where the file is, is nobody's business here"


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/profile/integrations/{account}/disconnect", {}),
        ("/profile/integrations/connect", {"account": "{account}", "password": "abcd-efgh-ijkl-mnop"}),
        ("/profile/calendars/primary", {"primary": "{hobby}"}),
        ("/profile/calendars/{work}/settings", {"titles": "title"}),
    ],
)
async def test_a_form_that_is_sent_anyway_changes_nothing(all_declared, path, data):
    ada, world = await all_declared.signed_in(), all_declared.world
    names = {"account": world.account_id, "work": world.ids["Work"], "hobby": world.ids["Hobby"]}
    before = roles.list_calendars(world.db, "ada")

    filled = {name: value.format(**names) for name, value in data.items()}
    page = await ada.post(path.format(**names), filled, via="/profile/integrations")

    assert page.status == 403
    assert roles.list_calendars(world.db, "ada") == before


async def test_conflict_calendars_of_a_declared_account_stay_beside_those_a_person_chooses(all_declared):
    ada, world = await all_declared.signed_in(), all_declared.world

    form = await ada.get("/profile/calendars/conflicts")
    sent = await ada.post("/profile/calendars/conflicts", {"conflict": world.ids["Hobby"]})

    assert form.text.count(SET) == 1
    assert "nothing was changed." in sent.text
    assert {c.name: str(c.role) for c in roles.list_calendars(world.db, "ada")} == {
        "Home": "primary",
        "Work": "conflict",
        "Hobby": "none",
    }


async def test_administrators_see_who_is_declared(all_declared):
    admin = await all_declared.admin()

    assert SET in (await admin.get("/users/ada")).text
    assert SET not in (await admin.get("/users/bob")).text


async def test_the_api_names_the_file(all_declared):
    token = all_declared.token("admin")
    visitor = await all_declared.browser()

    async with visitor.client.request(
        "DELETE", "/v1/users/ada", headers={"Authorization": f"Bearer {token}"}
    ) as response:
        told = await response.json()

    assert (response.status, told["code"]) == (403, "set_by_administrator")
    assert "config/bridge.toml" in told["detail"]
    assert users.get_user(all_declared.world.db, "ada").name == "Ada"


async def test_administrators_see_how_receivers_of_webhooks_are_doing(site):
    admin = await site.admin()
    assert "None yet." in (await admin.get("/system")).text
    change = WebhookChange(url="https://crm.example.com/hook?key=hunter2", events=["AppointmentUpdate"], active=False)
    webhooks.create(
        site.world.context, change, location_ids=["loc"], signature=Signature.V1, token_id="tok", networks=[]
    )

    page = await admin.get("/system")

    assert "https://crm.example.com/hook" in page.text
    assert "AppointmentUpdate" in page.text
    assert "Paused" in page.text
    assert "hunter2" not in page.html
