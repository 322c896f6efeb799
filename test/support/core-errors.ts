import { afterAll, beforeAll } from '@jest/globals';

/** Jest runs tests in a realm of its own, in which no error of Node's core is an `instanceof Error`. */
export function acceptCoreErrors(): void {
  const ordinary = Function.prototype[Symbol.hasInstance];
  beforeAll(() => {
    Object.defineProperty(Error, Symbol.hasInstance, {
      configurable: true,
      value(this: () => unknown, value: unknown): boolean {
        const tag = Object.prototype.toString.call(value);
        return ordinary.call(this, value) || (this === Error && tag === '[object Error]');
      },
    });
  });
  afterAll(() => {
    Reflect.deleteProperty(Error, Symbol.hasInstance);
  });
}
