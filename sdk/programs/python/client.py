"""What README.md of the folder above lists, with the client of openapi-python-client."""

import datetime
import os
from http import HTTPStatus

from culturepass.api.events import archive_event, create_event, get_event, list_events, publish_event, update_event
from culturepass.api.me import list_my_roles
from culturepass.api.organizations import get_organization
from culturepass.api.sign_in import sign_in
from culturepass.client import AuthenticatedClient, Client
from culturepass.models import (
    Business,
    Community,
    Count,
    CreateEvent,
    CreatedEvent,
    Credentials,
    Event,
    EventCategory,
    EventExpand,
    EventHostType,
    EventList,
    EventSort,
    Institution,
    Organization,
    PatchEvent,
    Problem,
    RoleAssignmentList,
    Signed,
)
from culturepass.types import UNSET, Unset

URL = os.environ["API_URL"]
NOW = datetime.datetime.now(datetime.timezone.utc)

# Sign in
credentials = Credentials(email="olga_organiser@example.org", password="seven small elephants")
signed = sign_in.sync(client=Client(base_url=URL), body=credentials)
assert isinstance(signed, Signed)
client = AuthenticatedClient(base_url=URL, token=signed.access_token)
roles = list_my_roles.sync(client=client)
assert isinstance(roles, RoleAssignmentList)
organization_id = next(role.scope_id for role in roles.data if role.scope_type == "organization")
assert organization_id is not None
organization = get_organization.sync(organization_id, client=client)
assert organization is not None and not isinstance(organization, Problem)

# List with filters
wanted = [EventCategory.CONCERT, EventCategory.FESTIVAL]
soon = list_events.sync(client=client, category_in=wanted, starts_at_gte=NOW, sort=EventSort.STARTS_AT_ASC, limit=5)
assert isinstance(soon, EventList)
assert len(soon.data) > 1
assert all(event.category in wanted and event.starts_at >= NOW for event in soon.data)
assert soon.data == sorted(soon.data, key=lambda event: event.starts_at)

# Page to the end
counted = list_events.sync(client=client, category=EventCategory.CONCERT, count=Count.EXACT, limit=1)
assert isinstance(counted, EventList)
seen = set()
cursor: str | Unset = UNSET
while True:
    page = list_events.sync(client=client, category=EventCategory.CONCERT, limit=25, cursor=cursor)
    assert isinstance(page, EventList)
    seen |= {event.id for event in page.data}
    if page.next_cursor is None:
        break
    cursor = page.next_cursor
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
created = create_event.sync(client=client, body=draft)
assert isinstance(created, CreatedEvent)
assert created.version == 1

# 422, with every value that is wrong
draft.title, draft.capacity = "", -1
refused = create_event.sync_detailed(client=client, body=draft)
assert refused.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
assert isinstance(refused.parsed, Problem)
assert not isinstance(refused.parsed.errors, Unset)
assert {item.pointer for item in refused.parsed.errors} == {"/title", "/capacity"}

# Change
tag = f'"{created.version}"'
changed = update_event.sync(created.id, client=client, if_match=tag, body=PatchEvent(description="With a reading."))
assert isinstance(changed, Event)
assert changed.description == "With a reading."
assert changed.version == 2

# 412: based on what is no longer there
outdated = update_event.sync_detailed(created.id, client=client, if_match=tag, body=PatchEvent(title="Lost"))
assert outdated.status_code == HTTPStatus.PRECONDITION_FAILED
assert isinstance(outdated.parsed, Problem)
assert outdated.parsed.type_ == "/problems/precondition-failed"

# Publish
published = publish_event.sync(created.id, client=client)
assert isinstance(published, Event)
assert published.state == "published"

# A host of each kind, as what it is
kinds = {
    EventHostType.ORGANIZATION: Organization,
    EventHostType.BUSINESS: Business,
    EventHostType.COMMUNITY: Community,
    EventHostType.INSTITUTION: Institution,
}
for kind, model in kinds.items():
    hosted = list_events.sync(client=client, host_type=kind, expand=[EventExpand.HOST], limit=3)
    assert isinstance(hosted, EventList)
    assert hosted.data
    for event in hosted.data:
        assert type(event.host) is model, f"{kind}: {type(event.host)}"

# Archive
assert archive_event.sync_detailed(created.id, client=client).status_code == HTTPStatus.NO_CONTENT
assert get_event.sync_detailed(created.id, client=client).status_code == HTTPStatus.NOT_FOUND
