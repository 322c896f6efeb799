/** A well-formed sha256 digest that repeats one hex digit, so that a failing test stays readable. */
export function digestOf(digit: string): string {
  return `sha256:${digit.repeat(64)}`;
}
