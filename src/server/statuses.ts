import type { ErrorCode } from '../core/errors.ts';

/** The HTTP status of each code that a request may be answered with. */
const STATUSES: ReadonlyMap<ErrorCode, number> = new Map([
  ['REVIEW_NOT_JSON', 400],
  ['REVIEW_INVALID', 400],
  ['CLIENT_UNAUTHORIZED', 403],
  ['ROUTE_UNKNOWN', 404],
  ['REVIEW_TOO_LARGE', 413],
  ['REVIEW_MEDIA_TYPE', 415],
  ['INTERNAL', 500],
  ['MAP_NOT_LOADED', 503],
  ['SERVER_BUSY', 503],
]);

/** Any other code is a fault of this program here. */
export function statusOf(code: ErrorCode): number {
  return STATUSES.get(code) ?? 500;
}
