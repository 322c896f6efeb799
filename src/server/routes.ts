import type { Mode } from '../core/verdict.ts';

/** The paths that reviews are posted to, and what each makes of them. */
export const ROUTES: ReadonlyMap<string, Mode> = new Map([
  ['/mutate', 'enforce'],
  ['/audit', 'audit'],
]);

export const JSON_TYPE = 'application/json';
