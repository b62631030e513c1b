/** What README.md of the folder above lists, with the client of openapi-generator (`typescript-fetch`). */
import assert from "node:assert/strict";
import {
  Configuration,
  Count,
  EventCategory,
  EventExpand,
  EventHostType,
  EventSort,
  EventState,
  EventsApi,
  MeApi,
  OrganizationsApi,
  ProblemFromJSON,
  ResponseError,
  RoleAssignmentScopeType,
  SignInApi,
  type CreateEvent,
  type Event,
  type EventHost,
  type Problem,
} from "./client/index.js";

const basePath = process.env["API_URL"] ?? "http://127.0.0.1:8080";
const now = new Date();

async function problem(status: number, of: Promise<unknown>): Promise<Problem> {
  const error: unknown = await of.then(() => undefined, (thrown: unknown) => thrown);
  assert.ok(error instanceof ResponseError, `not ${status}`);
  assert.equal(error.response.status, status);
  return ProblemFromJSON(await error.response.json());
}

// Sign in
const credentials = { email: "olga_organiser@example.org", password: "seven small elephants" };
const { accessToken } = await new SignInApi(new Configuration({ basePath })).signIn({ credentials });
const configuration = new Configuration({ basePath, accessToken });
const events = new EventsApi(configuration);
const roles = await new MeApi(configuration).listMyRoles();
const organizationId = roles.data.find((role) => role.scopeType === RoleAssignmentScopeType.Organization)?.scopeId;
assert.ok(organizationId);
const organization = await new OrganizationsApi(configuration).getOrganization({ id: organizationId });

// List with filters
const wanted: EventCategory[] = [EventCategory.Concert, EventCategory.Festival];
const soon = await events.listEvents({ categoryIn: wanted, startsAtGte: now, sort: EventSort.starts_at_asc, limit: 5 });
assert.ok(soon.data.length > 1);
for (const event of soon.data) assert.ok(wanted.includes(event.category) && event.startsAt >= now);
const times = soon.data.map((event) => event.startsAt.getTime());
assert.deepEqual(times, [...times].sort((one, other) => one - other));

// Page to the end
const counted = await events.listEvents({ category: EventCategory.Concert, count: Count.Exact, limit: 1 });
const seen = new Set<string>();
for (let cursor: string | undefined; ; ) {
  const page = await events.listEvents({ category: EventCategory.Concert, limit: 25, ...(cursor ? { cursor } : {}) });
  for (const event of page.data) seen.add(event.id);
  if (!page.nextCursor) break;
  cursor = page.nextCursor;
}
assert.ok(seen.size > 25);
assert.equal(counted.count, seen.size);

// Create
const hour = 3600_000;
const startsAt = new Date(now.getTime() + 30 * 24 * hour);
const draft: CreateEvent = {
  title: "An evening for programs",
  category: EventCategory.Concert,
  startsAt,
  endsAt: new Date(startsAt.getTime() + hour),
  timezone: "Australia/Melbourne",
  onlineUrl: "https://example.org/evening",
  cityId: organization.cityId,
  hostType: EventHostType.Organization,
  hostId: organization.id,
};
const created = await events.createEvent({ createEvent: draft });
assert.equal(created.version, 1);
const { id } = created;

// 422, with every value that is wrong
const refused = await problem(422, events.createEvent({ createEvent: { ...draft, title: "", capacity: -1 } }));
assert.deepEqual(refused.errors?.map((item) => item.pointer).sort(), ["/capacity", "/title"]);

// Change
const ifMatch = `"${created.version}"`;
const changed: Event = await events.updateEvent({ id, ifMatch, patchEvent: { description: "With a reading." } });
assert.equal(changed.description, "With a reading.");
assert.equal(changed.version, 2);

// 412: based on what is no longer there
await problem(412, events.updateEvent({ id, ifMatch, patchEvent: { title: "Lost" } }));

// Publish
const published = await events.publishEvent({ id });
assert.equal(published.state, EventState.Published);

// A host of each kind, as what it is: only the type of one kind has these properties, under these names
function isRight(host: EventHost, kind: EventHostType): boolean {
  if (host.object !== kind) return false;
  switch (host.object) {
    case "organization":
      return host.createdAt instanceof Date && !("joinPolicy" in host) && !("priceBand" in host);
    case "business":
      return host.createdAt instanceof Date && "priceBand" in host && typeof host.category === "string";
    case "community":
      return host.createdAt instanceof Date && typeof host.joinPolicy === "string";
    case "institution":
      return host.createdAt instanceof Date && typeof host.verified === "boolean" && !("priceBand" in host);
  }
}
for (const kind of [EventHostType.Organization, EventHostType.Business, EventHostType.Community, EventHostType.Institution]) {
  const hosted = await events.listEvents({ hostType: kind, expand: [EventExpand.Host], limit: 3 });
  assert.ok(hosted.data.length > 0, `events of a ${kind}`);
  for (const { host } of hosted.data) assert.ok(host && isRight(host, kind), `the host of a ${kind} is ${JSON.stringify(host)}`);
}

// Archive
await events.archiveEvent({ id });
await problem(404, events.getEvent({ id }));
