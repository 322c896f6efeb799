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
