import { en } from 'zod/locales';
import type * as z from 'zod/mini';
import { type Fault, quote } from '../core/errors.ts';
import { configFault } from './fault.ts';
import { keysAt } from './schema.ts';

const english = en().localeError;

/** What to write in place of a value, where the schema does not say so itself. */
export const expectation: z.core.$ZodErrorMap = (issue) => {
  if (issue.code === 'invalid_type') {
    return `give ${issue.expected === 'array' ? 'a list' : `a value of type ${issue.expected}`}`;
  }
  if (issue.code === 'invalid_value') {
    return `allowed are ${issue.values.map(String).join(', ')}`;
  }
  if (issue.code === 'too_small') {
    return `it must be at least ${issue.minimum}`;
  }
  return issue.code === 'too_big' ? `it must be at most ${issue.maximum}` : english(issue);
};

/** The faults of one issue with `raw`, that was parsed with `expectation`. */
export function faultsOfIssue(issue: z.core.$ZodIssue, raw: unknown): Fault[] {
  if (issue.code === 'unrecognized_keys') {
    const allowed = keysAt(issue.path);
    return issue.keys.map((key) => {
      const message = `${quote(key)} is not a key here; allowed are ${allowed.join(', ')}`;
      return configFault('CONFIG_KEY_UNKNOWN', [...issue.path, key], message);
    });
  }
  const value = issue.path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined),
    raw,
  );
  if (value === undefined) {
    return [configFault('CONFIG_INCOMPLETE', issue.path, `is missing; ${issue.message}`)];
  }
  const { code, message } = issueInside(issue);
  return [
    configFault(
      'CONFIG_VALUE_INVALID',
      issue.path,
      code === 'custom' ? message : `${describeValue(value)} is not valid: ${message}`,
    ),
  ];
}

/** Of a union only the last branch is worth telling: the others are the empty string. */
function issueInside(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  return issue.code === 'invalid_union' ? (issue.errors.at(-1)?.[0] ?? issue) : issue;
}

/** A value as a message names it. */
export function describeValue(value: unknown): string {
  if (value === undefined || value === null) {
    return 'empty';
  }
  if (Array.isArray(value)) {
    return 'a list';
  }
  if (typeof value === 'object') {
    return 'an object';
  }
  return typeof value === 'string' ? quote(value) : JSON.stringify(value);
}
