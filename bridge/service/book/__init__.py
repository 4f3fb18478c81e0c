"""Booking: appointments, and blocked slots made in the CRM.

Each use case is one write transaction: check the slot, store, publish, and queue for iCloud.
"""

from bridge.service.book.appointments import (
    find_by_external_id,
    get_appointment,
    list_appointments,
    members,
    read_invitee,
    read_rrule,
)
from bridge.service.book.blocked_slots import (
    BlockedSlotView,
    NewBlockedSlot,
    create_blocked_slot,
    expire_holds,
    get_blocked_slot,
    list_blocked_slots,
    update_blocked_slot,
)
from bridge.service.book.create import Created, NewAppointment, create_appointment
from bridge.service.book.events import delete_event
from bridge.service.book.instances import Scope, single_time
from bridge.service.book.update import UNSET, AppointmentChange, update_appointment
from bridge.service.book.upstream import detach, forget_event, new_uid, queue, remember, under_uid, upcoming

__all__ = [
    "UNSET",
    "AppointmentChange",
    "BlockedSlotView",
    "Created",
    "NewAppointment",
    "NewBlockedSlot",
    "Scope",
    "create_appointment",
    "create_blocked_slot",
    "delete_event",
    "detach",
    "expire_holds",
    "find_by_external_id",
    "forget_event",
    "get_appointment",
    "get_blocked_slot",
    "list_appointments",
    "list_blocked_slots",
    "members",
    "new_uid",
    "queue",
    "read_invitee",
    "read_rrule",
    "remember",
    "single_time",
    "under_uid",
    "upcoming",
    "update_appointment",
    "update_blocked_slot",
]
