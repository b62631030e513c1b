import createClient from "openapi-fetch";
import { take } from "./problem.js";
import type { components, paths } from "./schema.js";

/** What a session is continued with. A refresh token is good for one use: whoever keeps copies signs themselves out. */
export interface Tokens {
  access_token: string;
  refresh_token: string;
  /** When the access token expires, in milliseconds since 1970 by the client's clock. */
  expires_at_ms: number;
}

export interface TokenStore {
  read(): Tokens | null | Promise<Tokens | null>;
  write(tokens: Tokens | null): void | Promise<void>;
}

export interface Session {
  signIn(credentials: components["schemas"]["Credentials"]): Promise<void>;
  /** Ends the session on the server; the tokens are forgotten whatever it answers. */
  signOut(): Promise<void>;
  isSignedIn(): Promise<boolean>;
  /** Sends a request as the one who is signed in, with a fresh token if the old one has expired. */
  fetch(request: Request): Promise<Response>;
}

/** Tokens that live as long as the page or process. */
export function memoryStore(): TokenStore {
  let kept: Tokens | null = null;
  return { read: () => kept, write: (tokens) => void (kept = tokens) };
}

/** An access token is renewed this long before it expires, for requests that take their time. */
const MARGIN_MS = 30_000;

export function createSession(
  baseUrl: string,
  store: TokenStore,
  send: (request: Request) => Promise<Response>,
): Session {
  const plain = createClient<paths, "application/json">({ baseUrl, fetch: send });
  let refreshing: Promise<Tokens | null> | undefined;

  async function keep(signed: components["schemas"]["Signed"]): Promise<Tokens> {
    const tokens: Tokens = {
      access_token: signed.access_token,
      refresh_token: signed.refresh_token,
      expires_at_ms: Date.now() + signed.expires_in * 1000,
    };
    await store.write(tokens);
    return tokens;
  }

  async function renew(old: Tokens): Promise<Tokens | null> {
    // Somebody else may have renewed it since.
    const kept = await store.read();
    if (kept?.access_token !== old.access_token) return kept;
    const { data, error, response } = await plain.POST("/auth/refresh", {
      body: { refresh_token: kept.refresh_token },
    });
    if (data) return keep(data);
    // Only 401 says that the session is over. Anything else may go better next time.
    if (response.status === 401) await store.write(null);
    return response.status === 401 ? null : take(Promise.resolve({ error, response }));
  }

  /** Once for all requests that wait for it. */
  function renewOnce(old: Tokens): Promise<Tokens | null> {
    refreshing ??= renew(old).finally(() => (refreshing = undefined));
    return refreshing;
  }

  function sendWith(request: Request, tokens: Tokens | null): Promise<Response> {
    if (tokens) request.headers.set("Authorization", `Bearer ${tokens.access_token}`);
    return send(request);
  }

  async function authorized(request: Request): Promise<Response> {
    if (request.headers.has("Authorization")) return send(request);
    let tokens = await store.read();
    if (!tokens) return send(request);
    if (tokens.expires_at_ms - MARGIN_MS < Date.now()) tokens = await renewOnce(tokens);
    // A body can be read once only.
    const again = request.clone();
    const response = await sendWith(request, tokens);
    if (!tokens || !(await isExpired(response))) return response;
    const renewed = await renewOnce(tokens);
    return renewed ? sendWith(again, renewed) : response;
  }

  return {
    fetch: authorized,
    async signIn(credentials) {
      await keep(await take(plain.POST("/auth/sign-in", { body: credentials })));
    },
    async signOut() {
      const tokens = await store.read();
      await store.write(null);
      if (!tokens) return;
      const headers = { Authorization: `Bearer ${tokens.access_token}` };
      const { error, response } = await plain.POST("/auth/sign-out", { headers });
      // Who is signed out already has what they wanted.
      if (error && response.status !== 401) await take(Promise.resolve({ error, response }));
    },
    isSignedIn: async () => (await store.read()) !== null,
  };
}

/** Whether the token was refused as such, by a clock that goes differently for example. */
async function isExpired(response: Response): Promise<boolean> {
  if (response.status !== 401) return false;
  const problem: unknown = await response.clone().json().catch(() => null);
  return (problem as { type?: unknown } | null)?.type === "/problems/invalid-token";
}
