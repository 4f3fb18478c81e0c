"""All pages and their handlers."""

from aiohttp import web

from bridge.web.pages import admin, agenda, calendars, integrations, metrics, render, sign_in, status, subscribe
from bridge.web.pages.guard import for_admin, for_admin_of_all, for_user
from bridge.web.pages.render import leads_to

INTEGRATIONS, CALENDARS, SUBSCRIBE = "/profile/integrations", "/profile/calendars", "/profile/subscribe"

ROUTES = [
    web.get("/", sign_in.home),
    web.get("/static/{name}", render.static),
    web.get("/metrics", metrics.metrics),
    web.get("/sign-in", sign_in.show),
    web.post("/sign-in", sign_in.sign_in),
    web.get("/sign-in/admin", sign_in.show_admin),
    web.post("/sign-in/admin", sign_in.sign_in_admin),
    web.get("/link/{secret}", sign_in.show_link),
    web.post("/link/{secret}", sign_in.use_link),
    web.post("/sign-out", sign_in.sign_out),
    web.post("/sign-out-everywhere", sign_in.sign_out_everywhere),
    web.get(INTEGRATIONS, for_user(integrations.show)),
    web.get(INTEGRATIONS + "/connect", for_user(integrations.show_connect)),
    web.post(INTEGRATIONS + "/connect", for_user(integrations.connect_account)),
    web.get(INTEGRATIONS + "/{account}/disconnect", for_user(integrations.show_disconnect)),
    web.post(INTEGRATIONS + "/{account}/disconnect", for_user(integrations.disconnect)),
    web.get(CALENDARS, for_user(calendars.show)),
    web.get(CALENDARS + "/primary", for_user(calendars.edit_primary)),
    web.post(CALENDARS + "/primary", for_user(calendars.choose_primary)),
    web.get(CALENDARS + "/conflicts", for_user(calendars.edit_conflicts)),
    web.post(CALENDARS + "/conflicts", for_user(calendars.choose_conflicts)),
    web.get(CALENDARS + "/{calendar}/settings", for_user(calendars.edit_settings)),
    web.post(CALENDARS + "/{calendar}/settings", for_user(calendars.save_settings)),
    web.get(SUBSCRIBE, for_user(subscribe.show)),
    web.post(SUBSCRIBE + "/passwords", for_user(subscribe.add_password)),
    web.post(SUBSCRIBE + "/profile", for_user(subscribe.download_profile)),
    web.post(SUBSCRIBE + "/phone", for_user(subscribe.show_phone_link)),
    web.get(SUBSCRIBE + "/passwords/{password}/revoke", for_user(subscribe.show_revoke)),
    web.post(SUBSCRIBE + "/passwords/{password}/revoke", for_user(subscribe.revoke)),
    web.get("/calendar", for_user(agenda.show)),
    web.get("/calendar/why", for_user(agenda.why)),
    web.get("/status", for_user(status.show)),
    web.post("/status/{appointment}/retry", for_user(status.retry)),
    web.get("/users", for_admin(admin.list_users)),
    web.get("/users/{user}", for_admin(admin.show_user)),
    web.post("/users/{user}/link", for_admin(admin.make_link)),
    web.post("/users/{user}/sign-out", for_admin(admin.sign_user_out)),
    web.post("/users/{user}/{appointment}/retry", for_admin(admin.retry)),
    web.get("/system", for_admin_of_all(admin.system)),
    web.post("/system/tokens", for_admin_of_all(admin.add_token)),
    web.get("/system/tokens/{token}/revoke", for_admin_of_all(admin.show_revoke_token)),
    web.post("/system/tokens/{token}/revoke", for_admin_of_all(admin.revoke_token)),
    # Where forms are sent to that stand on another page: reloaded, or after signing in, that page is shown.
    web.get(SUBSCRIBE + "/{form:passwords|profile|phone}", leads_to(SUBSCRIBE)),
    web.get("/status/{appointment}/retry", leads_to("/status")),
    web.get("/users/{user}/{form:link|sign-out}", leads_to("/users/{user}")),
    web.get("/users/{user}/{appointment}/retry", leads_to("/users/{user}")),
    web.get("/system/tokens", leads_to("/system")),
]
