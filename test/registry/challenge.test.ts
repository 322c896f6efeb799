import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseChallenges } from '../../src/registry/challenge.ts';

/** Plain objects in place of maps, so that a failing test shows them. */
function read(header: string): { scheme: string; parameters: object }[] {
  return parseChallenges(header).map(({ scheme, parameters }) => {
    return { scheme, parameters: Object.fromEntries(parameters) };
  });
}

describe('parseChallenges', () => {
  it('reads the parameters of a token service, commas in quotes included', () => {
    const header =
      'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"';
    expect(read(header)).toEqual([
      {
        scheme: 'bearer',
        parameters: {
          realm: 'https://auth.example/token',
          service: 'registry.example',
          scope: 'repository:a/b:pull,push',
        },
      },
    ]);
  });

  it.each([
    ['basic realm=plain', [{ scheme: 'basic', parameters: { realm: 'plain' } }]],
    ['Negotiate', [{ scheme: 'negotiate', parameters: {} }]],
    ['BEARER Realm = "a\\"b"', [{ scheme: 'bearer', parameters: { realm: 'a"b' } }]],
    [
      'Basic realm="one, two", Bearer realm="https://a.example"',
      [
        { scheme: 'basic', parameters: { realm: 'one, two' } },
        { scheme: 'bearer', parameters: { realm: 'https://a.example' } },
      ],
    ],
    ['', []],
    ['="', []],
  ])('reads %j', (header, challenges) => {
    expect(read(header)).toEqual(challenges);
  });

  it('reads back whatever values are quoted', () => {
    const value = fc.string({ unit: fc.constantFrom('a', '"', '\\', ',', '=', ' ', ':') });
    fc.assert(
      fc.property(value, value, (realm, service) => {
        const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
        expect(read(`Bearer realm=${quoted(realm)}, service=${quoted(service)}`)).toEqual([
          { scheme: 'bearer', parameters: { realm, service } },
        ]);
      }),
    );
  });

  it('comes to an end with any text', () => {
    fc.assert(
      fc.property(fc.string(), (header) => {
        expect(Array.isArray(parseChallenges(header))).toBe(true);
      }),
    );
  });
});
