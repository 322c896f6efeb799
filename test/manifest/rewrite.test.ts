import { describe, expect, it } from '@jest/globals';
import type { RewriterError } from '../../src/core/errors.ts';
import { type Finding, rewriteManifest } from '../../src/manifest/rewrite.ts';
import { rewritten } from '../support/manifests.ts';
import { policyOf } from '../support/policies.ts';

const policy = policyOf({ base: 'r.example/m' });
const IMAGE = 'docker.io/atlanhq/app:1';
const TARGET = 'r.example/m/atlanhq/app:1';

function podOf(containers: string, metadata = '{ name: p }'): string {
  return `apiVersion: v1\nkind: Pod\nmetadata: ${metadata}\nspec:\n  containers:\n${containers}`;
}

function linesOf(findings: readonly Finding[]): string[] {
  return findings.map(({ document, line, column, where, image, outcome, target, rule, reason }) =>
    `${document} ${line}:${column} ${where ?? '-'} ${image} ${outcome} ${target ?? reason ?? ''} ${rule ?? ''}`.trim(),
  );
}

function faultsOf(text: string): string[] {
  try {
    rewritten(text, policy);
    return [];
  } catch (error) {
    return (error as RewriterError).faults.map(({ code, path }) => `${code} ${path}`);
  }
}

describe('rewriteManifest', () => {
  it('says of each image where it stands and what became of it', () => {
    const text = `# first\n---\n${podOf(`  - { name: a, image: ${IMAGE} }\n  - name: b\n    image: nginx\n  - { name: c, image: "a/B" }\n`)}`;
    const { findings } = rewritten(`x: y\n${text}`, policy);
    expect(linesOf(findings)).toEqual([
      `2 9:23 containers/a ${IMAGE} rewritten ${TARGET} base`,
      '2 11:12 containers/b nginx kept out-of-scope',
      '2 12:23 containers/c a/B invalid REFERENCE_UPPERCASE',
    ]);
    expect(findings[0]).toEqual({
      document: 2,
      line: 9,
      column: 23,
      kind: 'Pod',
      namespace: null,
      name: 'p',
      where: 'containers/a',
      image: IMAGE,
      outcome: 'rewritten',
      target: TARGET,
      rule: 'base',
      reason: null,
    });
  });

  it('says that a document is of no kind that it knows', () => {
    const text = `replicas: 1\n---\n${podOf(`  - image: ${IMAGE}\n`)}---\n# nothing\n`;
    expect(rewritten(text, policy).remarks).toEqual([
      {
        line: 1,
        column: 1,
        message:
          'this document is neither a Kubernetes object nor a Compose file; nothing in it was rewritten',
      },
    ]);
  });

  it('gives an alias outside of image fields the text that it stood for, as the webhook leaves it', () => {
    const pod = (image: string, value: string): string =>
      podOf(`  - image: &i ${image}\n    env: [{ name: SELF, value: ${value} }]\n`);
    const { text, remarks } = rewritten(pod(IMAGE, '*i'), policy);
    expect({ text, remarks }).toEqual({ text: pod(TARGET, IMAGE), remarks: [] });
    const compose = (image: string, value: string): string =>
      `services:\n  a:\n    image: &i "${image}"\n    environment: { IMAGE: ${value} }\n`;
    expect(rewritten(compose('atlanhq/a', '*i'), policy).text).toBe(
      compose('r.example/m/atlanhq/a', 'atlanhq/a'),
    );
    // A text that YAML might take for something else gets quotes.
    const nameless = podOf(`  - image: &i "app:1"\n    args: [*i]\n`);
    const all = policyOf({ base: 'r.example', sources: ['docker.io'] });
    expect(rewritten(nameless, all).text).toBe(
      podOf(`  - image: &i "r.example/library/app:1"\n    args: ["app:1"]\n`),
    );
  });

  it('names every document that has a fault, by line and column of the file', () => {
    const good = podOf(`  - image: ${IMAGE}\n`);
    const text = `${good}---\r\n${good}---\na: [b\n---\n${good}---\nc: 'd\n`;
    expect(faultsOf(text)).toEqual(['MANIFEST_NOT_YAML file:16:1', 'MANIFEST_NOT_YAML file:25:1']);
    expect(() => rewritten(text, policy)).toThrow(/^file:16:1: \S/);
  });

  it('does nothing to files without a document', () => {
    for (const text of ['', '\n', '# only\n# comments', '\uFEFF', '---\n...\n']) {
      expect(rewritten(text, policy)).toEqual({ text, edits: [], findings: [], remarks: [] });
    }
  });

  it('leaves a text alone that skipped pods share with others, and says so', () => {
    const template = (name: string, skip: string): string =>
      `- apiVersion: v1\n  kind: Pod\n  metadata: { labels: { sdr-image-rewriter.io/skip: "${skip}" } }\n  spec: { containers: [{ <<: *base, name: ${name} }] }\n`;
    const head = `apiVersion: v1\nkind: List\nbase: &base { image: ${IMAGE} }\nitems:\n`;
    const text = head + template('a', 'true') + template('b', 'false');
    const { text: after, findings } = rewritten(text, policy);
    expect(after).toBe(text);
    expect(findings.map(({ outcome, reason }) => `${outcome} ${reason ?? ''}`)).toEqual([
      'unhandled shared',
      'unhandled shared',
    ]);
    const agreed = head + template('a', 'false') + template('b', 'false');
    expect(rewritten(agreed, policy).text).toBe(agreed.replace(IMAGE, TARGET));
  });

  it('writes an alias out where one pod is skipped and the other is not', () => {
    const pod = (skip: string, image: string): string =>
      podOf(`  - image: ${image}\n`, `{ labels: { sdr-image-rewriter.io/skip: "${skip}" } }`);
    const item = (skip: string, image: string): string =>
      `- ${pod(skip, image).trimEnd().replaceAll('\n', '\n  ')}\n`;
    const list = (...items: string[]): string =>
      `apiVersion: v1\nkind: List\nitems:\n${items.join('')}`;
    expect(rewritten(list(item('true', `&i ${IMAGE}`), item('no', '*i')), policy).text).toBe(
      list(item('true', `&i ${IMAGE}`), item('no', TARGET)),
    );
    expect(rewritten(list(item('no', `&i ${IMAGE}`), item('true', '*i')), policy).text).toBe(
      list(item('no', `&i ${TARGET}`), item('true', IMAGE)),
    );
  });

  it('changes the text behind an alias in a fragment of Compose only where nothing else follows', () => {
    const compose = (use: string): string =>
      `x-image: &i ${IMAGE}\nservices:\n  a:\n    image: *i\n  b:\n    ${use}\n`;
    expect(rewritten(compose('image: *i'), policy).text).toBe(
      compose('image: *i').replace(IMAGE, TARGET),
    );
    expect(rewritten(compose('environment: { IMAGE: *i }'), policy).text).toBe(
      compose('environment: { IMAGE: *i }').replace('image: *i', `image: ${TARGET}`),
    );
  });

  it('leaves variables of Compose alone, and says so', () => {
    const text = `services:\n  a: { image: "\${A:-${IMAGE}}" }\n  b: { image: docker.io/atlanhq/b:$TAG }\n`;
    const { text: after, findings } = rewritten(text, policy);
    expect(after).toBe(text);
    expect(linesOf(findings)).toEqual([
      `1 2:15 services/a \${A:-${IMAGE}} unhandled variable`,
      '1 3:15 services/b docker.io/atlanhq/b:$TAG unhandled variable',
    ]);
  });

  it('quotes a target that would be no text without', () => {
    const ipv6 = policyOf({ base: '[::1]:5000' });
    const text = podOf(`  - image: ${IMAGE}\n  - image: '${IMAGE}'\n  - { image: &i ${IMAGE} }\n`);
    expect(rewritten(text, ipv6).text).toBe(
      podOf(
        '  - image: "[::1]:5000/atlanhq/app:1"\n  - image: \'[::1]:5000/atlanhq/app:1\'\n  - { image: &i "[::1]:5000/atlanhq/app:1" }\n',
      ),
    );
  });
});

describe('rewriteManifest with reportUnhandled', () => {
  function unhandled(text: string): string[] {
    const { findings } = rewriteManifest(text, 'file', { policy, reportUnhandled: true });
    return linesOf(findings.filter(({ outcome }) => outcome === 'unhandled'));
  }

  it('names what reads like an image in scope in places that name none', () => {
    const text = podOf(
      `  - image: ${IMAGE}\n    args: ["--sidecar=atlanhq/sidecar:2", nginx/nginx]\n    env:\n    - { name: A, value: ghcr.io/atlanhq/a:1 }\n`,
    );
    expect(unhandled(text)).toEqual([
      '1 7:23 - atlanhq/sidecar:2 unhandled not-an-image-field',
      '1 9:25 - ghcr.io/atlanhq/a:1 unhandled not-an-image-field',
    ]);
  });

  it('looks into documents of any kind, but not into keys and comments', () => {
    expect(
      unhandled(
        `# ${IMAGE}\nimage: ${IMAGE}\n"${IMAGE}": 1\nfiles:\n  a: |\n    x\n    pull ${IMAGE}\n`,
      ),
    ).toEqual([
      `1 2:8 - ${IMAGE} unhandled not-an-image-field`,
      `1 7:10 - ${IMAGE} unhandled not-an-image-field`,
    ]);
  });

  it('points at the text where escapes hide the words', () => {
    expect(unhandled('a: "docker.io\\/atlanhq\\/app:1"\n')).toEqual([
      `1 1:4 - ${IMAGE} unhandled not-an-image-field`,
    ]);
  });

  it('names nothing without the option', () => {
    expect(rewritten(`image: ${IMAGE}\n`, policy).findings).toEqual([]);
  });
});

describe('rewriteManifest of large files', () => {
  const pod = (index: number): string =>
    `# Source: chart/templates/pod-${index}.yaml\n${podOf(`  - name: main\n    image: docker.io/atlanhq/app:${index} # tag\n`)}`;

  it('rewrites 5,000 documents', () => {
    const text = Array.from({ length: 5000 }, (_, index) => `---\n${pod(index)}`).join('');
    const { text: after, findings } = rewritten(text, policy);
    expect(after).toBe(text.replaceAll('docker.io/atlanhq/app', 'r.example/m/atlanhq/app'));
    expect(findings.at(-1)).toMatchObject({ document: 5000, line: 5000 * 9, column: 12 });
  });

  it('rewrites 20 MB of documents', () => {
    const env = Array.from(
      { length: 500 },
      (_, index) => `    - { name: E${index}, value: "${index}" }\n`,
    );
    const script = '    echo "nothing to see: here" # comment\n'.repeat(10_000);
    const data = `apiVersion: v1\nkind: ConfigMap\ndata:\n  script: |\n${script}`;
    const big = `${pod(1)}    env:\n${env.join('')}---\n${data}`;
    const count = Math.ceil(20e6 / big.length);
    const text = Array.from({ length: count }, () => big).join('---\n');
    const { text: after, edits } = rewritten(text, policy);
    expect(text.length).toBeGreaterThan(20e6);
    expect(edits).toHaveLength(count);
    expect(after === text.replaceAll('docker.io/atlanhq/app', 'r.example/m/atlanhq/app')).toBe(
      true,
    );
  });

  it('rewrites a JSON List of 3,000 objects on one line', () => {
    const spec = { containers: [{ name: 'main', image: IMAGE }] };
    const items = Array.from({ length: 3000 }, (_, index) => {
      return { apiVersion: 'v1', kind: 'Pod', metadata: { name: `p${index}` }, spec };
    });
    const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    const { text: after, edits } = rewritten(text, policy);
    expect(edits).toHaveLength(3000);
    expect(after).toBe(text.replaceAll(IMAGE, TARGET));
  });
});
