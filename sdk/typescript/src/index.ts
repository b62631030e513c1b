/** Client of the CulturePass API. `schema.ts` is generated; the rest is written by hand and knows no single operation but those of signing in. */
export { createCulturePass, type CulturePass, type Options } from "./client.js";
export { memoryStore, type Session, type Tokens, type TokenStore } from "./session.js";
export { ProblemError, take } from "./problem.js";
export { listen, type ListenOptions, type Told } from "./listen.js";
export { pages, type Page, type PageQuery } from "./pages.js";
export { ifMatch } from "./version.js";
export type * from "./schema.js";
