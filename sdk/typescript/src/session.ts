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
  const plain = createClient<paths>({ baseUrl, fetch: send });
  let refreshing: Promise<Tokens | null> | undefined;
  /** How often somebody has signed in or out here. A request is sent as the one who was signed in when it began. */
  let changes = 0;

  /** A new pair of tokens, or null if the session is over. */
  async function exchange(old: Tokens): Promise<Tokens | null> {
    const { data, error, response } = await plain.POST("/auth/refresh", { body: { refresh_token: old.refresh_token } });
    if (data) return asTokens(data);
    // Only 401 says that the session is over. Anything else may go better next time.
    return response.status === 401 ? null : take(Promise.resolve({ error, response }));
  }

  async function renew(old: Tokens): Promise<Tokens | null> {
    // Somebody else may have renewed it since.
    const kept = await store.read();
    if (kept?.access_token !== old.access_token) return kept;
    const before = changes;
    const fresh = await exchange(kept);
    // Whoever has signed in or out meanwhile has other tokens, or none.
    const now = await store.read();
    if (before === changes && now?.refresh_token === kept.refresh_token) await store.write(fresh);
    return fresh;
  }

  /** Once for all requests that wait for it. */
  function renewOnce(old: Tokens): Promise<Tokens | null> {
    if (refreshing) return refreshing;
    const mine = renew(old).finally(() => {
      if (refreshing === mine) refreshing = undefined;
    });
    return (refreshing = mine);
  }

  /** From here on tokens are another member's, or nobody's. Returns the refresh that is on its way for the former one. */
  function change(): Promise<Tokens | null> | undefined {
    const former = refreshing;
    refreshing = undefined;
    changes += 1;
    return former;
  }

  function sendWith(request: Request, tokens: Tokens | null): Promise<Response> {
    if (tokens) request.headers.set("Authorization", `Bearer ${tokens.access_token}`);
    return send(request);
  }

  async function authorized(request: Request): Promise<Response> {
    if (request.headers.has("Authorization")) return send(request);
    const before = changes;
    let tokens = await store.read();
    if (!tokens) return send(request);
    if (isOld(tokens)) tokens = await renewOnce(tokens);
    // As nobody rather than as somebody else.
    if (before !== changes) tokens = null;
    // A body can be read once only.
    const again = request.clone();
    const response = await sendWith(request, tokens);
    if (!tokens || before !== changes || !(await isExpired(response))) return response;
    const renewed = await renewOnce(tokens);
    return renewed && before === changes ? sendWith(again, renewed) : response;
  }

  /** Ends a session on the server, with an access token that it still takes. */
  async function end(tokens: Tokens | null, again = true): Promise<void> {
    if (tokens && isOld(tokens)) tokens = await exchange(tokens);
    // Who is signed out already has what they wanted.
    if (!tokens) return;
    const headers = { Authorization: `Bearer ${tokens.access_token}` };
    const { error, response } = await plain.POST("/auth/sign-out", { headers });
    if (response.status !== 401) return void (error && (await take(Promise.resolve({ error, response }))));
    if (again && error?.type === "/problems/invalid-token") await end({ ...tokens, expires_at_ms: 0 }, false);
  }

  return {
    fetch: authorized,
    async signIn(credentials) {
      const signed = await take(plain.POST("/auth/sign-in", { body: credentials }));
      void change()?.catch(() => {});
      await store.write(asTokens(signed));
    },
    async signOut() {
      const tokens = await store.read();
      const former = change();
      await store.write(null);
      // A refresh that is on its way uses up the refresh token: the session ends with what it brings.
      await end(former ? await former : tokens);
    },
    isSignedIn: async () => (await store.read()) !== null,
  };
}

function asTokens(signed: components["schemas"]["Signed"]): Tokens {
  return {
    access_token: signed.access_token,
    refresh_token: signed.refresh_token,
    expires_at_ms: Date.now() + signed.expires_in * 1000,
  };
}

function isOld(tokens: Tokens): boolean {
  return tokens.expires_at_ms - MARGIN_MS < Date.now();
}

/** Whether the token was refused as such, by a clock that goes differently for example. */
async function isExpired(response: Response): Promise<boolean> {
  if (response.status !== 401) return false;
  const problem: unknown = await response.clone().json().catch(() => null);
  return (problem as { type?: unknown } | null)?.type === "/problems/invalid-token";
}
