// Swagger UI as a person uses it: opens, searches, signs in with the example as it stands, and tries one GET, one POST and one PATCH.
//
// node docs.mjs URL CHROMIUM FOLDER
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [url, executablePath, folder] = process.argv.slice(2);
const figures = [];
const faults = [];

// The last flags keep it from looking for its maker, which a closed network would refuse over and over.
const browser = await chromium.launchPersistentContext(`${folder}/profile`, {
  executablePath,
  headless: true,
  args: [
    ...(process.getuid() === 0 ? ["--no-sandbox"] : []),
    ...["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
    ...["--disable-component-update", "--disable-sync"],
  ],
  viewport: { width: 1280, height: 1400 },
});
const page = browser.pages()[0] ?? (await browser.newPage());
page.setDefaultTimeout(30_000);
page.on("pageerror", (error) => faults.push(`an error on the page: ${error.message}`));
page.on("console", (message) => {
  // That a request was refused is said there too, and is no fault of the page.
  if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) faults.push(message.text());
});
page.on("request", (request) => {
  const asked = new URL(request.url());
  if (!["data:", "blob:"].includes(asked.protocol) && asked.origin !== url) faults.push(`asked elsewhere: ${asked}`);
});

async function timed(name, work) {
  const started = performance.now();
  const result = await work();
  figures.push([name, Math.round(performance.now() - started)]);
  return result;
}

const block = (id) => page.locator(`.opblock[id$="-${id}"]`);

/** Opens a group if it is folded, then an operation. */
async function open(tag, id) {
  const operation = block(id);
  if (!(await operation.isVisible())) await page.locator(`.opblock-tag[data-tag="${tag}"]`).click();
  await operation.locator(".opblock-summary-control").click();
  await operation.locator(".responses-wrapper .response").first().waitFor();
  await operation.locator(".opblock-body").getByText("Responses").first().waitFor();
  return operation;
}

/** Sends the operation with its examples as they are, but for what is given, and waits for the answer. */
async function send(operation, given = {}) {
  await operation.getByRole("button", { name: "Try it out" }).click();
  for (const [name, value] of Object.entries(given)) {
    await operation.locator(`tr[data-param-name="${name}"] input`).fill(value);
  }
  await operation.getByRole("button", { name: "Execute" }).click();
  const live = operation.locator(".live-responses-table .response").first();
  await live.waitFor();
  const status = Number((await live.locator(".response-col_status").innerText()).trim().split(/\s/)[0]);
  const text = await live.locator(".highlight-code code, pre.microlight, .highlight-code pre").first().innerText();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    body = text;
  }
  return { status, body };
}

async function openPage(address) {
  await page.goto(address);
  await page.locator(".opblock-tag").first().waitFor();
}

try {
  await timed("opens", () => openPage(`${url}/docs/`));
  const tags = await page.locator(".opblock-tag").count();
  assert.ok(tags > 40, `all tags are there: ${tags}`);
  const bare = await page.locator(".opblock-tag").evaluateAll((all) =>
    all.filter((tag) => !tag.querySelector("small")?.textContent?.trim()).map((tag) => tag.dataset.tag),
  );
  assert.deepEqual(bare, [], "each tag has a description");

  // Found by a word of the summary, and by the path
  const filter = page.locator(".operation-filter-input");
  await timed("finds an operation", async () => {
    await filter.fill("publish an event");
    await block("publishEvent").waitFor();
  });
  assert.ok((await page.locator(".opblock").count()) < 5);
  await filter.fill("/grant-announcements/{id}");
  await block("getGrantAnnouncement").waitFor();
  await filter.fill("");

  // Signing in with the example signs in the page
  const signIn = await timed("opens an operation", () => open("Sign-in", "signIn"));
  const signed = await send(signIn);
  assert.equal(signed.status, 200, JSON.stringify(signed.body));
  await page.locator(".btn.authorize.locked").waitFor();

  // An answer with an error is one line until it is asked for
  const error = signIn.locator('.responses-table:not(.live-responses-table) > tbody > tr:has(> td > details)').first();
  assert.ok((await error.boundingBox()).height < 80, "one line");

  // GET, POST and PATCH, in the document of their group
  await timed("opens a group", () => openPage(`${url}/docs/?urls.primaryName=Events`));
  const got = await send(await timed("opens an operation of a group", () => open("Events", "getEvent")));
  assert.equal(got.status, 200, JSON.stringify(got.body));
  const posted = await send(await open("Events", "createEvent"));
  assert.equal(posted.status, 201, JSON.stringify(posted.body));
  const patch = await open("Events", "updateEvent");
  assert.match(await patch.innerText(), /quotes/i, "how If-Match is written is explained");
  const errors = patch.locator("tr[data-code] summary");
  const silent = (await errors.allInnerTexts()).filter((text) => !text.trim());
  assert.ok((await errors.count()) > 4 && silent.length === 0, "each error says in words what it is");
  const patched = await send(patch);
  assert.equal(patched.status, 200, JSON.stringify(patched.body));
  assert.equal(patched.body.version, got.body.version + 1);

  assert.deepEqual(faults, []);
  for (const [name, milliseconds] of figures) console.log(`${String(milliseconds).padStart(6)} ms  ${name}`);
} catch (error) {
  await page.screenshot({ path: `${folder}/page.png`, fullPage: false }).catch(() => {});
  console.error(faults.join("\n"));
  throw error;
} finally {
  await browser.close();
}
