import { isInvalid } from '../errors.ts';
import { parsePrefix } from '../prefix-rules.ts';
import type { LeftOut } from './rules.ts';

/** What a format says, as text behind a comment. */
export interface TextExport {
  /** Empty where there is nothing to say. */
  readonly text: string;
  readonly leftOut: readonly LeftOut[];
}

/** Kubernetes objects, to be written as YAML. */
export interface ObjectExport {
  readonly objects: readonly object[];
  readonly leftOut: readonly LeftOut[];
}

/** Why a rule for a digest is not missed in a format whose tables go by names. */
export const DIGESTS_FOLLOW_NAMES =
  'a pull of it by digest from another repository gets the same bytes by the rule of that repository';

/** With `docker.io` for its aliases, which the runtimes refuse as a target. */
export function canonicalPrefix(target: string): string {
  const prefix = parsePrefix(target);
  return isInvalid(prefix) ? target : prefix.value;
}

/** A basic string; names are ASCII, so JSON and TOML quote them alike. */
export function tomlString(text: string): string {
  return JSON.stringify(text);
}
