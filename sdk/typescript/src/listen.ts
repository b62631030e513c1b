import { EventSourceParserStream } from "eventsource-parser/stream";
import type { CulturePass } from "./client.js";
import { ProblemError, take } from "./problem.js";
import type { components } from "./schema.js";

/** What `GET /notifications/stream` tells. Others may be added. */
export type Told =
  | { event: "ready" | "unread"; data: { unread: number } }
  | { event: "notification"; data: components["schemas"]["Notification"] }
  | { event: "refresh"; data: Record<string, never> };

export interface ListenOptions {
  /** Ends it. */
  signal?: AbortSignal;
  /** How far somebody has been told before, if that was kept. */
  lastEventId?: string;
  /** Called with the id to come back with, whenever it is another. */
  onPosition?: (lastEventId: string) => void;
}

/** Until the server says otherwise. */
const RETRY_MS = 3000;

/**
 * Notifications of the member who is signed in, as they come. Whenever the connection ends it is made again, and what came
 * meanwhile is told; a notification may then come twice. Throws a `ProblemError` where the server refuses, for instance
 * when the session has ended.
 *
 *     for await (const { event, data } of listen(api)) if (event === "unread") show(data.unread);
 */
export async function* listen(api: CulturePass, options: ListenOptions = {}): AsyncGenerator<Told, void, undefined> {
  const { signal, onPosition } = options;
  let lastEventId = options.lastEventId;
  let retryMs = RETRY_MS;
  while (!signal?.aborted) {
    try {
      const messages = await open(api, lastEventId, (ms) => (retryMs = ms), signal);
      try {
        for (let next = await messages.read(); !next.done; next = await messages.read()) {
          const { event, data, id } = next.value;
          yield { event, data: JSON.parse(data) } as Told;
          if (id !== undefined) onPosition?.((lastEventId = id));
        }
      } finally {
        // A loop that is left with `break` closes its connection, of which each member has a few only.
        await messages.cancel().catch(() => {});
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (error instanceof ProblemError && error.status < 500 && error.status !== 429) throw error;
    }
    await pause(retryMs, signal);
  }
}

async function open(
  api: CulturePass,
  lastEventId: string | undefined,
  onRetry: (ms: number) => void,
  signal: AbortSignal | undefined,
) {
  const answer = api.GET("/notifications/stream", {
    parseAs: "stream",
    params: { header: lastEventId === undefined ? {} : { "Last-Event-ID": lastEventId } },
    ...(signal && { signal }),
  });
  const bytes: ReadableStream | null = await take(answer);
  if (!bytes) throw new TypeError("an answer without a body");
  // Not every browser iterates over streams.
  return bytes.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream({ onRetry })).getReader();
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), done()), { once: true });
  });
}
