import { take } from "./problem.js";

/** What every list answers with. */
export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

/** To be spread into the query of a list: empty for the first page. */
export type PageQuery = { cursor?: string };

/**
 * All objects of a list, page by page as they are needed:
 *
 *     for await (const event of pages((page) => api.GET("/events", { params: { query: { limit: 100, ...page } } })))
 */
export async function* pages<T>(
  ask: (page: PageQuery) => Promise<{ data?: Page<T>; error?: unknown; response: Response }>,
): AsyncGenerator<T, void, undefined> {
  let page: PageQuery | null = {};
  while (page) {
    const { data, next_cursor }: Page<T> = await take(ask(page));
    yield* data;
    page = next_cursor === null ? null : { cursor: next_cursor };
  }
}
