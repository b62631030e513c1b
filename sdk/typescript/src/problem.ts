import type { components } from "./schema.js";

type Documented = components["schemas"]["Problem"];
/** One of ours, or `about:blank` for an answer of something in between, such as a proxy. */
type Problem = Omit<Documented, "type"> & { type: Documented["type"] | "about:blank" };

/** An answer that is not a success, with the problem that explains it. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";

  constructor(
    readonly problem: Problem,
    readonly response: Response,
  ) {
    super(`${problem.status} ${problem.title}: ${problem.detail}`);
  }

  get status(): number {
    return this.problem.status;
  }

  /** Whether it is of this kind, such as `invalid-request` for `/problems/invalid-request`. */
  is(kind: string): boolean {
    return this.problem.type === `/problems/${kind}`;
  }

  /** What is wrong with one value of the body (`/title`) or of the query (`limit`). */
  at(place: string): components["schemas"]["ProblemItem"] | undefined {
    return this.problem.errors?.find((item) => item.pointer === place || item.parameter === place);
  }
}

/** The data of an answer; a {@link ProblemError} is thrown if there is a problem instead. */
export async function take<T>(answer: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await answer;
  if (!response.ok) throw new ProblemError(asProblem(error, response), response);
  return data as T;
}

/** Proxies answer without problems of ours. */
function asProblem(error: unknown, response: Response): Problem {
  if (typeof error === "object" && error !== null && "type" in error && "detail" in error) return error as Problem;
  const detail = typeof error === "string" ? error.slice(0, 200) : "";
  return { type: "about:blank", title: response.statusText || "No problem document", status: response.status, detail };
}
