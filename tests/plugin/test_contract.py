"""What of Radicale the plugin stands on. When this fails after an upgrade, read the plugin beside the new release."""

from __future__ import annotations

import inspect
from importlib.metadata import version

import pytest
import radicale
import radicale.app
from radicale import auth, rights, storage
from radicale.app import report
from radicale.item import Item
from radicale.item import filter as radicale_filter

import radicale_plugin
from radicale_plugin.collection import Folder, MergedCalendar


def parameters(function):
    return list(inspect.signature(function).parameters)


def test_radicale_is_the_release_that_was_read() -> None:
    assert version("radicale").startswith("3.9.")


@pytest.mark.parametrize(
    ("ours", "base"),
    [
        (radicale_plugin.Storage, storage.BaseStorage),
        (radicale_plugin.Auth, auth.BaseAuth),
        (radicale_plugin.Rights, rights.BaseRights),
        (Folder, storage.BaseCollection),
        (MergedCalendar, storage.BaseCollection),
    ],
)
def test_what_is_overridden_exists_and_takes_the_same(ours: type, base: type) -> None:
    assert issubclass(ours, base)
    for name, member in vars(ours).items():
        if name.startswith("__") or not hasattr(base, name):
            continue
        theirs = inspect.getattr_static(base, name)
        assert isinstance(member, property) == isinstance(theirs, property), name
        if callable(member) and name != "acquire_lock":
            assert parameters(member) == parameters(theirs), name


def test_nothing_of_the_interface_is_left_to_raise() -> None:
    """Each method that the base class leaves open is closed by the plugin."""
    for ours, base in (
        (radicale_plugin.Storage, storage.BaseStorage),
        (Folder, storage.BaseCollection),
        (MergedCalendar, storage.BaseCollection),
    ):
        for name, member in vars(base).items():
            function = member.fget if isinstance(member, property) else member
            if inspect.isfunction(function) and "NotImplementedError" in inspect.getsource(function):
                assert inspect.getattr_static(ours, name) is not member, f"{ours.__name__}.{name}"


def test_the_lock_is_asked_for_as_before() -> None:
    assert parameters(storage.BaseStorage.acquire_lock) == ["self", "mode", "user", "args", "kwargs"]


def test_items_take_what_would_else_be_parsed() -> None:
    taken = {"collection", "href", "text", "etag", "uid", "name", "component_name", "time_range", "last_modified"}
    assert taken <= set(parameters(Item.__init__))
    assert isinstance(inspect.getattr_static(Item, "vobject_item"), property)


def test_free_busy_walks_the_attributes_that_are_dressed_up() -> None:
    assert parameters(radicale_filter.visit_time_ranges) == [
        "vobject_item",
        "child_name",
        "range_fn",
        "infinity_fn",
        "component_fn",
    ]
    walked = inspect.getsource(radicale_filter.visit_time_ranges) + inspect.getsource(report.freebusy_periods)
    for name in ("vevent_list", "recurrence_id", "dtstart", "dtend", "rruleset", "item.vobject_item"):
        assert name in walked, name


def test_single_filters_can_be_tested_alone() -> None:
    assert parameters(radicale_filter.prop_match) == ["vobject_item", "filter_", "ns"]
    assert parameters(radicale_filter.time_range_timestamps) == ["time_filter"]


def test_the_application_asks_for_an_external_login_before_it_reads_the_header() -> None:
    handled = inspect.getsource(radicale.app.Application._handle_request)
    assert handled.index("get_external_login(environ)") < handled.index('environ.get("HTTP_AUTHORIZATION"')
