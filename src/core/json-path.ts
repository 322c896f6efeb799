const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Renders a path as JSONPath (RFC 9535): `$.images[3].target`, `$["docker.io/atlanhq/x:1"]`. */
export function jsonPath(segments: readonly PropertyKey[]): string {
  return segments.reduce<string>(
    (path, segment) => childPath(path, typeof segment === 'number' ? segment : String(segment)),
    '$',
  );
}

/** The path of what `path` has under a key or index. */
export function childPath(path: string, segment: string | number): string {
  if (typeof segment === 'number') {
    return `${path}[${segment}]`;
  }
  return PLAIN_KEY.test(segment) ? `${path}.${segment}` : `${path}[${JSON.stringify(segment)}]`;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value of a JSON text; undefined where it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
