/** What README.md of the folder above lists, with our own SDK. */
import assert from "node:assert/strict";
import { createCulturePass, ifMatch, listen, memoryStore, pages, ProblemError, take, type components } from "@culturepass/sdk";

const baseUrl = process.env["API_URL"] ?? "http://127.0.0.1:8080";
const store = memoryStore();
const api = createCulturePass({ baseUrl, store });

async function problem(of: Promise<unknown>): Promise<ProblemError> {
  const error: unknown = await of.then(() => undefined, (thrown: unknown) => thrown);
  assert.ok(error instanceof ProblemError, "there is a problem");
  return error;
}

// Sign in
const wrong = api.session.signIn({ email: "olga_organiser@example.org", password: "wrong" });
assert.ok((await problem(wrong)).is("invalid-credentials"));
await api.session.signIn({ email: "olga_organiser@example.org", password: "seven small elephants" });
const roles = await take(api.GET("/me/roles"));
const organizationId = roles.data.find((role) => role.scope_type === "organization")?.scope_id;
assert.ok(organizationId);
const organization = await take(api.GET("/organizations/{id}", { params: { path: { id: organizationId } } }));

// List with filters
const now = new Date();
const soon = await take(
  api.GET("/events", {
    params: {
      query: { "category.in": ["concert", "festival"], "starts_at.gte": now.toISOString(), sort: "starts_at", limit: 5 },
    },
  }),
);
assert.ok(soon.data.length > 1);
for (const event of soon.data) {
  assert.ok(event.category === "concert" || event.category === "festival");
  assert.ok(new Date(event.starts_at) >= now);
}
assert.deepEqual(soon.data.map((event) => event.starts_at), soon.data.map((event) => event.starts_at).sort());

// Page to the end
const counted = await take(api.GET("/events", { params: { query: { category: "concert", count: "exact", limit: 1 } } }));
const seen = new Set<string>();
const all = pages((page) => api.GET("/events", { params: { query: { category: "concert", limit: 25, ...page } } }));
for await (const event of all) seen.add(event.id);
assert.ok(seen.size > 25, "more than a page");
assert.equal(seen.size, counted.count);

// Create
const day = 24 * 3600 * 1000;
const draft: components["schemas"]["CreateEvent"] = {
  title: "An evening for programs",
  category: "concert",
  starts_at: new Date(Date.now() + 30 * day).toISOString(),
  ends_at: new Date(Date.now() + 30 * day + 3600_000).toISOString(),
  timezone: "Australia/Melbourne",
  online_url: "https://example.org/evening",
  city_id: organization.city_id,
  host_type: "organization",
  host_id: organization.id,
};
const created = await take(api.POST("/events", { body: draft }));
assert.ok(created);
assert.equal(created.version, 1);

// 422, with every value that is wrong
const refused = await problem(take(api.POST("/events", { body: { ...draft, title: "", capacity: -1 } })));
assert.equal(refused.status, 422);
assert.ok(refused.is("invalid-request"));
assert.equal(refused.at("/title")?.code, "length");
assert.equal(refused.at("/capacity")?.code, "range");

// Change
const path = { id: created.id };
const changed = await take(
  api.PATCH("/events/{id}", { params: { path, header: ifMatch(created) }, body: { description: "With a reading." } }),
);
assert.equal(changed?.description, "With a reading.");
assert.equal(changed?.version, 2);

// 412: based on what is no longer there
const outdated = api.PATCH("/events/{id}", { params: { path, header: ifMatch(created) }, body: { title: "Lost" } });
assert.ok((await problem(take(outdated))).is("precondition-failed"));

// Publish
const published = await take(api.POST("/events/{id}/publish", { params: { path } }));
assert.equal(published?.state, "published");

// A host of each kind, as what it is
const kinds = ["organization", "business", "community", "institution"] as const;
for (const kind of kinds) {
  const { data } = await take(
    api.GET("/events", { params: { query: { host_type: kind, expand: ["host", "city"], limit: 3 } } }),
  );
  assert.ok(data.length > 0, `events of a ${kind}`);
  for (const { host } of data) {
    assert.equal(host?.object, kind);
    // The type alone tells which properties there are.
    if (host?.object === "institution") assert.equal(typeof host.verified, "boolean");
    if (host?.object === "community") assert.equal(typeof host.join_policy, "string");
  }
}

// A token that has expired is renewed, once for all requests that wait for it
const tokens = await store.read();
assert.ok(tokens);
await store.write({ ...tokens, expires_at_ms: 0 });
const three = await Promise.all([1, 2, 3].map(() => take(api.GET("/me"))));
assert.equal(new Set(three.map((me) => me.id)).size, 1);
assert.notEqual((await store.read())?.refresh_token, tokens.refresh_token);
// … and so is one that the server refuses although the client thinks it good.
const good = await store.read();
assert.ok(good);
await store.write({ ...good, access_token: `${good.access_token}x` });
await take(api.PATCH("/events/{id}", { params: { path, header: { "If-Match": "*" } }, body: { capacity: 80 } }));

// Without `take` an answer has its data or its problem, each with its type
const nowhere = await api.GET("/events/{id}", { params: { path: { id: "nowhere" } } });
assert.equal(nowhere.error?.type, "/problems/not-found");
assert.equal(nowhere.data, undefined);

// Whoever signs in while a refresh is on its way stays signed in, and what was begun before is not sent as them
const shared = memoryStore();
let release = (): void => undefined;
const held = new Promise<void>((done) => (release = done));
const changing = createCulturePass({
  baseUrl,
  store: shared,
  fetch: async (request) => {
    const answer = await fetch(request);
    if (request.url.endsWith("/auth/refresh")) await held;
    return answer;
  },
});
const password = "seven small elephants";
const expired = async () => {
  const kept = await shared.read();
  assert.ok(kept);
  await shared.write({ ...kept, expires_at_ms: 0 });
  return kept;
};
await changing.session.signIn({ email: "mira_member@example.org", password });
await expired();
const begun = changing.GET("/me");
await new Promise((done) => setTimeout(done, 100));
await changing.session.signIn({ email: "olga_organiser@example.org", password });
release();
assert.equal((await begun).error?.type, "/problems/authentication-required");
assert.equal((await take(changing.GET("/me"))).handle, "olga_organiser");

// Signing out ends the session on the server, also with an access token that has expired or is on its way
const over = async (kept: { refresh_token: string }) => {
  const { refresh_token } = kept;
  return (await createCulturePass({ baseUrl }).POST("/auth/refresh", { body: { refresh_token } })).response.status;
};
const last = await expired();
await changing.session.signOut();
assert.equal(await over(last), 401);
await changing.session.signIn({ email: "mira_member@example.org", password });
const used = await expired();
const late = changing.GET("/me");
const out = changing.session.signOut();
await Promise.all([late, out]);
assert.equal(await changing.session.isSignedIn(), false);
assert.equal(await over(used), 401);

// Notifications as they come: what somebody else does is told here, and so is what was missed
const mira = createCulturePass({ baseUrl });
await mira.session.signIn({ email: "mira_member@example.org", password: "seven small elephants" });
const { id: followed } = await take(api.GET("/me"));
const followMe = { params: { path: { id: followed } } };
await take(mira.DELETE("/users/{id}/follow", followMe));
const listening = new AbortController();
let position: string | undefined;
for await (const told of listen(api, { signal: listening.signal, onPosition: (id) => (position = id) })) {
  if (told.event === "ready") await take(mira.PUT("/users/{id}/follow", followMe));
  if (told.event === "notification" && told.data.type === "follow") listening.abort();
}
assert.ok(position, "a position to come back with");
// A loop that is left closes its connection: this program would not end otherwise
for await (const told of listen(api)) if (told.event === "ready") break;
const refusal = await problem(listen(createCulturePass({ baseUrl })).next());
assert.ok(refusal.is("authentication-required"));
await mira.session.signOut();

// Archive
await take(api.DELETE("/events/{id}", { params: { path } }));
assert.ok((await problem(take(api.GET("/events/{id}", { params: { path } })))).is("not-found"));

await api.session.signOut();
assert.equal(await api.session.isSignedIn(), false);
assert.ok((await problem(take(api.GET("/me")))).is("authentication-required"));
