import createClient, { type Client } from "openapi-fetch";
import type { paths } from "./schema.js";
import { createSession, memoryStore, type Session, type TokenStore } from "./session.js";

export interface Options {
  /** Where the API is, such as `https://api.example.org`. */
  baseUrl: string;
  /** Where the tokens of the session are kept; in memory unless given. */
  store?: TokenStore;
  /** Sends a request; the platform's own `fetch` unless given. */
  fetch?: (request: Request) => Promise<Response>;
}

/** `GET`, `POST`, `PUT`, `PATCH` and `DELETE` take a path of the API and what it needs; `session` signs in and out. */
export interface CulturePass extends Client<paths> {
  session: Session;
}

export function createCulturePass(options: Options): CulturePass {
  // Looked up when it is needed: tests and monitoring replace it.
  const send = options.fetch ?? ((request: Request) => globalThis.fetch(request));
  const session = createSession(options.baseUrl, options.store ?? memoryStore(), send);
  const client = createClient<paths>({
    baseUrl: options.baseUrl,
    fetch: session.fetch,
    querySerializer: written,
  });
  return Object.assign(client, { session });
}

/** Lists of values are joined by commas; a comma that belongs to a value is escaped, where the API knows such values. */
function written(query: Record<string, unknown>): string {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue;
    const text = Array.isArray(value) ? value.map(escaped).join(",") : String(value);
    parts.append(name, text);
  }
  return parts.toString();
}

function escaped(value: unknown): string {
  return String(value).replace(/[\\,]/g, "\\$&");
}
