import { STANDARD_INPUT } from './input.ts';

/** Where a map is, as the command line names it. */
export interface MapPlace {
  readonly kind: 'standard-input' | 'file' | 'url';
  /** What it is read by; a URL may hold a token. */
  readonly text: string;
  /** What reports and messages show. */
  readonly shown: string;
}

export function parseMapPlace(text: string): MapPlace {
  if (text === STANDARD_INPUT) {
    return { kind: 'standard-input', text, shown: text };
  }
  const [, scheme] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text) ?? [];
  if (scheme === undefined) {
    return { kind: 'file', text, shown: text };
  }
  const url = `${scheme.toLowerCase()}${text.slice(scheme.length)}`;
  // Only a web server is asked with secrets in the URL.
  return { kind: 'url', text: url, shown: /^https?:/.test(url) ? withoutSecrets(url) : url };
}

/**
 * Errors end up in logs of builds: a user and its password, and a query with a token, are left out. A
 * password may hold any character.
 */
export function withoutSecrets(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1').replace(/[?#].*$/s, '');
}
