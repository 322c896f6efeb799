import { describe, expect, it } from '@jest/globals';
import {
  covers,
  parsePrefix,
  parseTargetPrefix,
  PrefixTable,
} from '../../src/core/prefix-rules.ts';
import { digestOf } from '../support/digests.ts';

const GOOD: readonly (readonly [text: string, value: string])[] = [
  ['docker.io', 'docker.io'],
  ['docker.io/', 'docker.io'],
  ['docker.io/atlanhq', 'docker.io/atlanhq'],
  ['docker.io/atlanhq/', 'docker.io/atlanhq'],
  ['index.docker.io/atlanhq', 'docker.io/atlanhq'],
  ['registry-1.docker.io', 'docker.io'],
  ['registry.hub.docker.com/atlanhq', 'docker.io/atlanhq'],
  ['atlanhq', 'docker.io/atlanhq'],
  ['atlanhq/apps', 'docker.io/atlanhq/apps'],
  ['localhost', 'localhost'],
  ['localhost:5000', 'localhost:5000'],
  ['registry:5000/team', 'registry:5000/team'],
  ['Registry/team', 'Registry/team'],
  ['[::1]:5000', '[::1]:5000'],
  ['[2001:db8::7]/team', '[2001:db8::7]/team'],
  ['reg.example/a/b/c', 'reg.example/a/b/c'],
  [`reg.example/${'a'.repeat(255)}`, `reg.example/${'a'.repeat(255)}`],
];

const BAD: readonly string[] = [
  '',
  '/',
  '//',
  '/team',
  'docker.io//',
  'docker.io//team',
  'docker.io/team//',
  'https://registry.corp.example/team',
  'reg.example/team:1',
  `reg.example/team@${digestOf('a')}`,
  'reg.example/Team',
  'reg.example/*',
  '*.example/team',
  'reg.example:port/team',
  '-reg.example',
  'reg_a.example/team',
  'reg.example/team ',
  'reg.example/team\n',
  ' ',
  'reg.example/té',
  `reg.example/${'a'.repeat(256)}`,
];

describe('parsePrefix', () => {
  it.each(GOOD)('reads %p as %p', (text, value) => {
    expect(parsePrefix(text)).toMatchObject({ value });
  });

  it.each(GOOD)('reads the value of %p as itself', (_text, value) => {
    expect(parsePrefix(value)).toMatchObject({ value });
  });

  it.each(GOOD)('keeps the text of %p but for a trailing slash', (text) => {
    expect(parsePrefix(text)).toMatchObject({ text: text.replace(/\/$/, '') });
  });

  it.each(BAD)('refuses %p', (text) => {
    expect(parsePrefix(text)).toMatchObject({ invalid: 'PREFIX_INVALID' });
  });
});

describe('parseTargetPrefix', () => {
  const spelled = GOOD.filter(([text]) => !text.startsWith('atlanhq'));

  it.each(spelled)('reads %p as %p', (text, value) => {
    expect(parseTargetPrefix(text)).toMatchObject({ value });
  });

  it.each(['atlanhq', 'atlanhq/apps', 'mirror/'])('asks for the registry host of %p', (text) => {
    expect(parseTargetPrefix(text)).toMatchObject({ invalid: 'PREFIX_REGISTRY_MISSING' });
  });

  it.each(BAD)('refuses %p', (text) => {
    expect(parseTargetPrefix(text)).toMatchObject({ invalid: 'PREFIX_INVALID' });
  });
});

describe('covers', () => {
  it.each([
    ['docker.io/atlanhq', 'docker.io/atlanhq'],
    ['docker.io/atlanhq', 'docker.io/atlanhq/app'],
    ['docker.io', 'docker.io/atlanhq/app'],
    ['localhost:5000', 'localhost:5000/app'],
  ])('says that %s covers %s', (prefix, name) => {
    expect(covers(prefix, name)).toBe(true);
  });

  it.each([
    ['docker.io/atlanhq', 'docker.io/atlanhq2/app'],
    ['docker.io/atlanhq', 'docker.io/atlanhq-fork'],
    ['docker.io/atlanhq', 'docker.io/atlan'],
    ['docker.io/atlanhq/app', 'docker.io/atlanhq'],
    ['docker.io', 'docker.io.mirror.example/atlanhq/app'],
    ['reg.example', 'reg.example:5000/app'],
    ['atlanhq', 'docker.io/atlanhq/app'],
  ])('says that %s does not cover %s', (prefix, name) => {
    expect(covers(prefix, name)).toBe(false);
  });
});

describe('PrefixTable', () => {
  it('finds the longest prefix, in whatever order they were set', () => {
    const prefixes = ['docker.io', 'docker.io/atlanhq', 'docker.io/atlanhq/apps'];
    for (const order of [prefixes, prefixes.toReversed()]) {
      const table = new PrefixTable<string>();
      order.forEach((prefix) => {
        table.set(prefix, `value of ${prefix}`);
      });
      expect(table.longest('docker.io/atlanhq/apps/mysql')?.prefix).toBe('docker.io/atlanhq/apps');
      expect(table.longest('docker.io/atlanhq/apps')?.prefix).toBe('docker.io/atlanhq/apps');
      expect(table.longest('docker.io/atlanhq/apps2')?.prefix).toBe('docker.io/atlanhq');
      expect(table.longest('docker.io/library/nginx')).toEqual({
        prefix: 'docker.io',
        value: 'value of docker.io',
      });
    }
  });

  it('finds nothing where no prefix ends on a path boundary', () => {
    const table = new PrefixTable<true>();
    table.set('docker.io/atlanhq', true);
    expect(table.longest('docker.io/atlanhq2/app')).toBeUndefined();
    expect(table.longest('docker.io')).toBeUndefined();
    expect(table.longest('')).toBeUndefined();
  });

  it('finds nothing in an empty table', () => {
    const table = new PrefixTable<true>();
    expect(table.size).toBe(0);
    expect(table.longest('docker.io/atlanhq')).toBeUndefined();
  });

  it.each(['__proto__', 'constructor', 'toString'])('has no value for %s by itself', (name) => {
    const table = new PrefixTable<true>();
    table.set('docker.io', true);
    expect(table.longest(name)).toBeUndefined();
    table.set(name, true);
    expect(table.longest(`${name}/app`)).toEqual({ prefix: name, value: true });
  });
});
