import { describe, expect, it } from '@jest/globals';
import { isInvalid } from '../../src/core/errors.ts';
import {
  canonicalText,
  isRegistry,
  normaliseRegistry,
  parseDigest,
  parseReference,
  suffixText,
} from '../../src/core/reference.ts';
import { digestOf } from '../support/digests.ts';
import { policyOf } from '../support/policies.ts';
import { referenceOf } from '../support/references.ts';

const DIGEST = digestOf('a');
const HEX64 = 'd'.repeat(64);

/** What is written, and what it means. */
const GOOD: readonly (readonly [text: string, canonical: string])[] = [
  // Docker Hub and its short forms
  ['nginx', 'docker.io/library/nginx:latest'],
  ['nginx:1.27', 'docker.io/library/nginx:1.27'],
  ['library/nginx', 'docker.io/library/nginx:latest'],
  ['docker.io/nginx', 'docker.io/library/nginx:latest'],
  ['docker.io/library/nginx:1', 'docker.io/library/nginx:1'],
  ['atlanhq/atlan-mysql-app:main-97b8c95', 'docker.io/atlanhq/atlan-mysql-app:main-97b8c95'],
  ['team/group/app', 'docker.io/team/group/app:latest'],
  ['index.docker.io/atlanhq/app:1', 'docker.io/atlanhq/app:1'],
  ['index.docker.io/busybox', 'docker.io/library/busybox:latest'],
  ['registry-1.docker.io/atlanhq/app:1', 'docker.io/atlanhq/app:1'],
  ['registry.hub.docker.com/busybox:1', 'docker.io/library/busybox:1'],
  ['docker.io', 'docker.io/library/docker.io:latest'],
  ['localhost', 'docker.io/library/localhost:latest'],
  ['registry:5000', 'docker.io/library/registry:5000'],
  // registries
  ['localhost/app', 'localhost/app:latest'],
  ['localhost:5000/app:1', 'localhost:5000/app:1'],
  ['registry:5000/app', 'registry:5000/app:latest'],
  ['app:1/b', 'app:1/b:latest'],
  ['ghcr.io/atlanhq/agent', 'ghcr.io/atlanhq/agent:latest'],
  ['registry.atlan.com/public/app-runtime-base:3', 'registry.atlan.com/public/app-runtime-base:3'],
  ['Registry/app', 'Registry/app:latest'],
  ['REGISTRY.Corp.example/app:A', 'REGISTRY.Corp.example/app:A'],
  ['10.20.30.40:8443/app:1', '10.20.30.40:8443/app:1'],
  ['[::1]:5000/app:1', '[::1]:5000/app:1'],
  ['[2001:db8::7]/team/app', '[2001:db8::7]/team/app:latest'],
  ['xn--bcher-kva.example/app', 'xn--bcher-kva.example/app:latest'],
  ['docker.io.mirror.example/app', 'docker.io.mirror.example/app:latest'],
  // paths
  ['team/a_b', 'docker.io/team/a_b:latest'],
  ['team/a__b', 'docker.io/team/a__b:latest'],
  ['team/a---b', 'docker.io/team/a---b:latest'],
  ['team/a.b-c/0', 'docker.io/team/a.b-c/0:latest'],
  [`reg.example/${'a'.repeat(255)}`, `reg.example/${'a'.repeat(255)}:latest`],
  // what is no host counts as a part of the path
  [`a_b.c/${'d'.repeat(249)}`, `a_b.c/${'d'.repeat(249)}:latest`],
  [`team/${HEX64}`, `docker.io/team/${HEX64}:latest`],
  [HEX64.slice(1), `docker.io/library/${HEX64.slice(1)}:latest`],
  [`${HEX64}d`, `docker.io/library/${HEX64}d:latest`],
  [`${HEX64}:1`, `docker.io/library/${HEX64}:1`],
  // tags
  ['app:_', 'docker.io/library/app:_'],
  ['app:0.4.25-rc.1_B', 'docker.io/library/app:0.4.25-rc.1_B'],
  [`app:${'t'.repeat(128)}`, `docker.io/library/app:${'t'.repeat(128)}`],
  // digests
  [`app@${DIGEST}`, `docker.io/library/app@${DIGEST}`],
  [`app:1@${DIGEST}`, `docker.io/library/app:1@${DIGEST}`],
  [`localhost:5000/app@${DIGEST}`, `localhost:5000/app@${DIGEST}`],
  [`app@sha384:${'b'.repeat(96)}`, `docker.io/library/app@sha384:${'b'.repeat(96)}`],
  [`app@sha512:${'c'.repeat(128)}`, `docker.io/library/app@sha512:${'c'.repeat(128)}`],
];

const BAD: readonly (readonly [text: string, code: string])[] = [
  ['', 'REFERENCE_EMPTY'],
  // white space and control characters
  [' ', 'REFERENCE_INVALID'],
  [' app', 'REFERENCE_INVALID'],
  ['app ', 'REFERENCE_INVALID'],
  ['app\n', 'REFERENCE_INVALID'],
  ['app\u0000', 'REFERENCE_INVALID'],
  ['app:1\n', 'REFERENCE_TAG_INVALID'],
  ['app:1 ', 'REFERENCE_TAG_INVALID'],
  [`app@${DIGEST}\n`, 'REFERENCE_DIGEST_INVALID'],
  // unicode
  ['café', 'REFERENCE_INVALID'],
  ['\u0430pp', 'REFERENCE_INVALID'],
  ['app\u200b', 'REFERENCE_INVALID'],
  ['b\u00fccher.example/app', 'REFERENCE_INVALID'],
  ['\u00c9cole/app', 'REFERENCE_INVALID'],
  ['app:\u0661', 'REFERENCE_TAG_INVALID'],
  // paths
  ['/', 'REFERENCE_INVALID'],
  ['/app', 'REFERENCE_INVALID'],
  ['app/', 'REFERENCE_INVALID'],
  ['team//app', 'REFERENCE_INVALID'],
  ['ghcr.io/', 'REFERENCE_INVALID'],
  ['-app', 'REFERENCE_INVALID'],
  ['app-', 'REFERENCE_INVALID'],
  ['.app', 'REFERENCE_INVALID'],
  ['_app', 'REFERENCE_INVALID'],
  ['app..b', 'REFERENCE_INVALID'],
  ['app._b', 'REFERENCE_INVALID'],
  ['app___b', 'REFERENCE_INVALID'],
  ['../app', 'REFERENCE_INVALID'],
  ['team/../app', 'REFERENCE_INVALID'],
  ['$(image)', 'REFERENCE_INVALID'],
  ['{{ image }}', 'REFERENCE_INVALID'],
  [':1', 'REFERENCE_INVALID'],
  [`@${DIGEST}`, 'REFERENCE_INVALID'],
  // upper case
  ['Nginx', 'REFERENCE_UPPERCASE'],
  ['docker.io/Atlanhq/app', 'REFERENCE_UPPERCASE'],
  ['atlanhq/App:1', 'REFERENCE_UPPERCASE'],
  ['library/NGINX', 'REFERENCE_UPPERCASE'],
  // registries
  ['https://ghcr.io/atlanhq/app', 'REFERENCE_INVALID'],
  ['reg.example:port/app', 'REFERENCE_INVALID'],
  ['reg.example:/app', 'REFERENCE_INVALID'],
  ['-reg.example/app', 'REFERENCE_INVALID'],
  ['reg-.example/app', 'REFERENCE_INVALID'],
  ['[::1/app', 'REFERENCE_INVALID'],
  ['::1/app', 'REFERENCE_INVALID'],
  ['user@reg.example/app', 'REFERENCE_INVALID'],
  // tags
  ['app:', 'REFERENCE_TAG_INVALID'],
  ['app:.1', 'REFERENCE_TAG_INVALID'],
  ['app:-1', 'REFERENCE_TAG_INVALID'],
  ['app:1:2', 'REFERENCE_TAG_INVALID'],
  ['team/app:1/b', 'REFERENCE_TAG_INVALID'],
  ['app:1+b', 'REFERENCE_TAG_INVALID'],
  [`app:${'t'.repeat(129)}`, 'REFERENCE_TAG_INVALID'],
  // digests
  ['app@', 'REFERENCE_DIGEST_INVALID'],
  ['app@sha256', 'REFERENCE_DIGEST_INVALID'],
  ['app@sha256:', 'REFERENCE_DIGEST_INVALID'],
  [`app@sha256:${'a'.repeat(63)}`, 'REFERENCE_DIGEST_INVALID'],
  [`app@sha256:${'a'.repeat(65)}`, 'REFERENCE_DIGEST_INVALID'],
  [`app@sha256:${'A'.repeat(64)}`, 'REFERENCE_DIGEST_INVALID'],
  [`app@sha256:${'g'.repeat(64)}`, 'REFERENCE_DIGEST_INVALID'],
  [`app@sha384:${'a'.repeat(64)}`, 'REFERENCE_DIGEST_INVALID'],
  [`app@sha512:${'a'.repeat(64)}`, 'REFERENCE_DIGEST_INVALID'],
  [`app@${DIGEST}:1`, 'REFERENCE_DIGEST_INVALID'],
  [`app@${DIGEST}@${DIGEST}`, 'REFERENCE_DIGEST_INVALID'],
  [`app@md5:${'a'.repeat(32)}`, 'REFERENCE_DIGEST_UNSUPPORTED'],
  [`app@sha1:${'a'.repeat(40)}`, 'REFERENCE_DIGEST_UNSUPPORTED'],
  [`app@sha512+b64u:${'a'.repeat(64)}`, 'REFERENCE_DIGEST_UNSUPPORTED'],
  // lengths
  [`reg.example/${'a'.repeat(256)}`, 'REFERENCE_TOO_LONG'],
  [`a_b.c/${'d'.repeat(250)}`, 'REFERENCE_TOO_LONG'],
  ['a'.repeat(248), 'REFERENCE_TOO_LONG'],
  [`app:${'1'.repeat(4093)}`, 'REFERENCE_TOO_LONG'],
  ['x'.repeat(1_048_576), 'REFERENCE_TOO_LONG'],
  // image IDs
  [HEX64, 'REFERENCE_IS_HEX'],
  ['0'.repeat(64), 'REFERENCE_IS_HEX'],
];

function shown(text: string): string {
  return text.length > 60 ? `${JSON.stringify(text.slice(0, 60))}…` : JSON.stringify(text);
}

const good = GOOD.map(([text, canonical]) => ({ title: shown(text), text, canonical }));
const bad = BAD.map(([text, code]) => ({ title: shown(text), text, code }));

describe('parseReference', () => {
  it.each(good)('reads $title', ({ text, canonical }) => {
    expect(canonicalText(referenceOf(text))).toBe(canonical);
  });

  it.each(good)('keeps the text of $title', ({ text }) => {
    expect(referenceOf(text).text).toBe(text);
  });

  it.each(good)('reads the canonical form of $title as the same', ({ text, canonical }) => {
    const { registry, path, repository, digest } = referenceOf(text);
    const again = referenceOf(canonical);
    expect(again).toMatchObject({ registry, path, repository });
    expect(again.digest).toBe(digest);
    expect(canonicalText(again)).toBe(canonical);
  });

  it('names the line break behind a reference where nothing else is wrong with it', () => {
    const message = (text: string): unknown => Reflect.get(parseReference(text), 'message');
    for (const text of ['app', 'team/app:1', `app@${DIGEST}`]) {
      for (const end of ['\n', '\r\n', '\n\n']) {
        expect(message(`${text}${end}`)).toMatch(/ends in a line break: .* \|- .* >- /);
      }
    }
    for (const text of ['App:1\n', 'app:\n1', 'app:1 \n', '\n']) {
      expect(message(text)).not.toContain('line break');
    }
  });

  it.each(bad)('refuses $title with $code', ({ text, code }) => {
    expect(parseReference(text)).toMatchObject({ invalid: code });
  });

  it.each(bad)('explains in one short line why it refuses $title', ({ text }) => {
    const parsed = parseReference(text);
    const message = isInvalid(parsed) ? parsed.message : '';
    expect(message).not.toBe('');
    expect(message.length).toBeLessThan(400);
    // eslint-disable-next-line no-control-regex -- they are what must not be there
    expect(message).not.toMatch(/[\u0000-\u001f]/);
  });

  it('splits a full reference into its parts', () => {
    expect(referenceOf(`localhost:5000/team/app:1@${DIGEST}`)).toEqual({
      text: `localhost:5000/team/app:1@${DIGEST}`,
      registry: 'localhost:5000',
      path: 'team/app',
      repository: 'localhost:5000/team/app',
      tag: '1',
      digest: DIGEST,
    });
  });

  it('invents neither a tag nor a digest', () => {
    expect(referenceOf('ghcr.io/atlanhq/agent')).toMatchObject({
      tag: undefined,
      digest: undefined,
    });
    expect(referenceOf(`ghcr.io/atlanhq/agent@${DIGEST}`).tag).toBeUndefined();
  });
});

describe('a policy', () => {
  const policy = policyOf({
    sources: ['docker.io', 'ghcr.io', 'localhost:5000'],
    base: 'm.example',
  });

  it.each(good)('decides about $title', ({ text }) => {
    expect(policy.decide(text).outcome).not.toBe('invalid');
  });

  it.each(bad)('says that $title is invalid', ({ text, code }) => {
    expect(policy.decide(text)).toMatchObject({ outcome: 'invalid', reason: code });
  });
});

describe('suffixText', () => {
  it.each([
    ['app', ''],
    ['app:1', ':1'],
    [`app@${DIGEST}`, `@${DIGEST}`],
    [`app:1@${DIGEST}`, `:1@${DIGEST}`],
  ])('gives tag and digest of %s as they are written', (text, suffix) => {
    expect(suffixText(referenceOf(text))).toBe(suffix);
  });
});

describe('canonicalText', () => {
  it('adds :latest only where there is neither tag nor digest', () => {
    expect(canonicalText(referenceOf('app'))).toBe('docker.io/library/app:latest');
    expect(canonicalText(referenceOf(`app@${DIGEST}`))).toBe(`docker.io/library/app@${DIGEST}`);
  });
});

describe('isRegistry', () => {
  it.each(['localhost', 'localhost:5000', 'registry:5000', 'a.b', 'Upper', '[::1]', '[::1]:5000'])(
    'takes %s for a registry',
    (component) => {
      expect(isRegistry(component)).toBe(true);
    },
  );

  it.each(['atlanhq', 'library', 'localhost2', 'my-registry', 'a_b', ''])(
    'takes %p for a part of a path',
    (component) => {
      expect(isRegistry(component)).toBe(false);
    },
  );
});

describe('normaliseRegistry', () => {
  it.each(['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'])(
    'knows %s as Docker Hub',
    (registry) => {
      expect(normaliseRegistry(registry)).toBe('docker.io');
    },
  );

  it.each(['hub.docker.io', 'docker.io.example', 'ghcr.io', 'docker.io:443'])(
    'leaves %s as it is',
    (registry) => {
      expect(normaliseRegistry(registry)).toBe(registry);
    },
  );
});

describe('parseDigest', () => {
  it.each([DIGEST, `sha384:${'0'.repeat(96)}`, `sha512:${'f'.repeat(128)}`])(
    'reads %s',
    (digest) => {
      expect(parseDigest(digest)).toBe(digest);
    },
  );

  it.each([
    ['', 'REFERENCE_DIGEST_INVALID'],
    ['a'.repeat(64), 'REFERENCE_DIGEST_INVALID'],
    [`${DIGEST} `, 'REFERENCE_DIGEST_INVALID'],
    [`@${DIGEST}`, 'REFERENCE_DIGEST_INVALID'],
    [DIGEST.toUpperCase(), 'REFERENCE_DIGEST_UNSUPPORTED'],
    [`blake3:${'a'.repeat(64)}`, 'REFERENCE_DIGEST_UNSUPPORTED'],
  ])('refuses %p with %s', (text, code) => {
    expect(parseDigest(text)).toMatchObject({ invalid: code });
  });
});
