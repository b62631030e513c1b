/**
 * The header that makes a change count only if nobody else has changed the object since it was read:
 *
 *     api.PATCH("/events/{id}", { params: { path: { id: event.id }, header: ifMatch(event) }, body: { title } })
 */
export function ifMatch(object: { version: number }): { "If-Match": string } {
  return { "If-Match": `"${object.version}"` };
}
