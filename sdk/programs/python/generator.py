"""What README.md of the folder above lists, with the client of openapi-generator (`python`)."""

import datetime
import os
from typing import Any, Callable

from culturepass_api import ApiClient, Configuration
from culturepass_api.api import EventsApi, MeApi, OrganizationsApi, SignInApi
from culturepass_api.exceptions import ApiException
from culturepass_api.models import (
    Business,
    Community,
    Count,
    CreateEvent,
    Credentials,
    EventCategory,
    EventExpand,
    EventHostType,
    EventSort,
    Institution,
    Organization,
    PatchEvent,
    Problem,
)

URL = os.environ["API_URL"]
NOW = datetime.datetime.now(datetime.timezone.utc)


def problem(status: int, ask: Callable[[], Any]) -> Problem:
    try:
        ask()
    except ApiException as error:
        assert error.status == status, error
        found = Problem.from_json(error.body or "")
        assert found is not None
        return found
    raise AssertionError(f"not {status}")


# Sign in
signed = SignInApi(ApiClient(Configuration(host=URL))).sign_in(
    Credentials(email="olga_organiser@example.org", password="seven small elephants")
)
client = ApiClient(Configuration(host=URL, access_token=signed.access_token))
events = EventsApi(client)
roles = MeApi(client).list_my_roles()
organization_id = next(role.scope_id for role in roles.data if role.scope_type == "organization")
assert organization_id is not None
organization = OrganizationsApi(client).get_organization(organization_id)

# List with filters
wanted = [EventCategory.CONCERT, EventCategory.FESTIVAL]
soon = events.list_events(category_in=wanted, starts_at_gte=NOW, sort=EventSort.starts_at_asc, limit=5)
assert len(soon.data) > 1
assert all(event.category in wanted and event.starts_at >= NOW for event in soon.data)
assert soon.data == sorted(soon.data, key=lambda event: event.starts_at)

# Page to the end
counted = events.list_events(category=EventCategory.CONCERT, count=Count.EXACT, limit=1)
seen = set()
cursor = None
while True:
    page = events.list_events(category=EventCategory.CONCERT, limit=25, cursor=cursor)
    seen |= {event.id for event in page.data}
    cursor = page.next_cursor
    if cursor is None:
        break
assert len(seen) > 25
assert len(seen) == counted.count

# Create
draft = CreateEvent(
    title="An evening for programs",
    category=EventCategory.CONCERT,
    starts_at=NOW + datetime.timedelta(days=30),
    ends_at=NOW + datetime.timedelta(days=30, hours=1),
    timezone="Australia/Melbourne",
    online_url="https://example.org/evening",
    city_id=organization.city_id,
    host_type=EventHostType.ORGANIZATION,
    host_id=organization.id,
)
created = events.create_event(draft)
assert created.version == 1

# 422. The client checks what the document says by itself, so the value that is wrong is one that only the server knows.
nowhere = draft.model_copy(update={"timezone": "Mars/Olympus"})
refused = problem(422, lambda: events.create_event(nowhere))
assert refused.errors
assert refused.errors[0].pointer == "/timezone"

# Change
tag = f'"{created.version}"'
changed = events.update_event(created.id, tag, PatchEvent(description="With a reading."))
assert changed.description == "With a reading."
assert changed.version == 2

# 412: based on what is no longer there
outdated = problem(412, lambda: events.update_event(created.id, tag, PatchEvent(title="Lost")))
assert outdated.type == "/problems/precondition-failed"

# Publish
assert events.publish_event(created.id).state == "published"

# A host of each kind, as what it is
kinds = {
    EventHostType.ORGANIZATION: Organization,
    EventHostType.BUSINESS: Business,
    EventHostType.COMMUNITY: Community,
    EventHostType.INSTITUTION: Institution,
}
for kind, model in kinds.items():
    hosted = events.list_events(host_type=kind, expand=[EventExpand.HOST], limit=3)
    assert hosted.data
    for event in hosted.data:
        assert event.host is not None
        assert type(event.host.actual_instance) is model, f"{kind}: {type(event.host.actual_instance)}"

# Archive
events.archive_event(created.id)
problem(404, lambda: events.get_event(created.id))
