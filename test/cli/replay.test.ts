import { readFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import jsonpatch, { type Operation } from 'fast-json-patch';
import { podOf } from '../support/pods.ts';
import { type Finished, runProgram } from '../support/program.ts';
import { capturedReview, createReview } from '../support/reviews.ts';
import { Workspace } from '../support/workspace.ts';

const CONFIG = ['--config', 'examples/config.yaml'];
const FOLDER = 'test/fixtures/admission-reviews';
const CREATED = 'create-deployment-pod';
const MIRRORED = 'registry.corp.example/mirror/atlanhq/atlan-mysql-app:main-97b8c95';

interface ResponseReview {
  readonly apiVersion: string;
  readonly kind: string;
  readonly response: {
    readonly uid: string;
    readonly allowed: boolean;
    readonly patchType?: string;
    readonly patch?: string;
  };
}

function replay(args: readonly string[], input = ''): Promise<Finished> {
  return runProgram(['replay', ...CONFIG, ...args], input);
}

function fileOf(name: string): string {
  return `${FOLDER}/${name}.json`;
}

function linesOf<Line>({ stdout }: Finished): Line[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

function patchOf(review: ResponseReview | undefined): Operation[] {
  const patch = review?.response.patch ?? 'W10=';
  return JSON.parse(Buffer.from(patch, 'base64').toString()) as Operation[];
}

describe('replay', () => {
  it('shows what would be a command to the terminal in a name, and does not do it', async () => {
    const escape = String.fromCharCode(27);
    const review = createReview(podOf(['atlanhq/a:1']));
    const named = { ...review, request: { ...review.request, name: `a${escape}[2Jb` } };
    const { stdout } = await replay(['--output', 'table', '-'], JSON.stringify(named));
    expect(stdout).not.toContain(escape);
    expect(stdout).toContain('a\\u001b[2Jb: rewritten');
  });

  it('decides a review whose object is nested too deeply to be shown, and says so with --preview', async () => {
    const review = createReview({ ...podOf(['atlanhq/a:1']), status: 'DEEP' });
    const deep = `${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`;
    const text = JSON.stringify(review).replace('"DEEP"', deep);
    expect(await replay(['-'], text)).toMatchObject({ code: 0, stderr: '' });
    expect(await replay(['--preview', '-'], text)).toEqual({
      code: 1,
      stdout: '',
      stderr: 'error: -: the object is nested too deeply to be shown [REVIEW_INVALID]\n',
    });
  });

  it('prints the response review of each review, one a line', async () => {
    const names = [CREATED, 'update-label-only', 'update-set-image'];
    const finished = await replay(names.map(fileOf));
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    const answers = linesOf<ResponseReview>(finished);
    expect(answers.map(({ response }) => response.uid)).toEqual(
      names.map((name) => capturedReview(name).request.uid),
    );
    for (const { apiVersion, kind, response } of answers) {
      expect({ apiVersion, kind }).toEqual({
        apiVersion: 'admission.k8s.io/v1',
        kind: 'AdmissionReview',
      });
      expect(response.allowed).toBe(true);
      expect('patch' in response).toBe('patchType' in response);
    }
    expect(answers.map(({ response }) => 'patch' in response)).toEqual([true, false, true]);
    expect(patchOf(answers[0])[0]).toEqual({
      op: 'replace',
      path: '/spec/containers/0/image',
      value: MIRRORED,
    });
  });

  it('reads several reviews from one file or standard input, one a line', async () => {
    await using workspace = await Workspace.create();
    const reviews = ['atlanhq/a:1', 'nginx', 'atlanhq/b:1'].map((image, index) =>
      createReview(podOf([image]), { uid: `uid-${index}` }),
    );
    const text = `${reviews.map((review) => JSON.stringify(review)).join('\n\n')}\n`;
    const file = await workspace.write('reviews.ndjson', text);
    for (const finished of [await replay([file]), await replay(['-'], text)]) {
      expect(finished.code).toBe(0);
      const answers = linesOf<ResponseReview>(finished);
      expect(answers.map(({ response }) => response.uid)).toEqual(['uid-0', 'uid-1', 'uid-2']);
      expect(answers.map(({ response }) => 'patch' in response)).toEqual([true, false, true]);
    }
  });

  it('reads one review in any layout from standard input', async () => {
    const text = JSON.stringify(capturedReview(CREATED), undefined, 4);
    const [answer] = linesOf<ResponseReview>(await replay(['-'], text));
    expect(answer?.response.uid).toBe(capturedReview(CREATED).request.uid);
  });

  it('prints with --preview the object as it is after the patch', async () => {
    const [answer] = linesOf<ResponseReview>(await replay([fileOf(CREATED)]));
    const finished = await replay(['--preview', fileOf(CREATED), fileOf('update-label-only')]);
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    const [patched, unchanged] = linesOf<unknown>(finished);
    const { object } = capturedReview(CREATED).request;
    expect(patched).toEqual(jsonpatch.applyPatch(object, patchOf(answer), true, false).newDocument);
    expect(patched).toMatchObject({ spec: { containers: [{ name: 'main', image: MIRRORED }] } });
    expect(unchanged).toEqual(capturedReview('update-label-only').request.object);
  });

  it('shows with --output table what became of each image, and why', async () => {
    const finished = await replay(['--output', 'table', fileOf('create-plain-pod-image-volume')]);
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    const [title, head, ...rows] = finished.stdout.trimEnd().split('\n');
    expect(title).toMatch(/^CREATE \S+\/\S+: rewritten$/);
    expect(head?.split(/ {2,}/)).toEqual(['WHERE', 'IMAGE', 'OUTCOME', 'TARGET', 'WHY']);
    expect(rows.length).toBeGreaterThan(1);
    expect(rows.map((row) => row.split(/ {2,}/).length)).toEqual(rows.map(() => 5));
    expect(rows.some((row) => row.startsWith('volumes/'))).toBe(true);
    expect(finished.stdout).not.toContain(String.fromCharCode(27));
  });

  it('gives the answer of the policy that the options name', async () => {
    await using workspace = await Workspace.create();
    const map = await workspace.write(
      'map.json',
      '{"atlanhq/atlan-mysql-app:main-97b8c95": "r.example/mysql:1"}',
    );
    const [byMap] = linesOf<ResponseReview>(await replay(['--map', map, fileOf(CREATED)]));
    expect(patchOf(byMap)[0]).toMatchObject({ value: 'r.example/mysql:1' });
    const [byBase] = linesOf<ResponseReview>(
      await replay(['--base', 'r.example', fileOf(CREATED)]),
    );
    expect(patchOf(byBase)[0]).toMatchObject({
      value: 'r.example/atlanhq/atlan-mysql-app:main-97b8c95',
    });
  });

  it('answers a pod that is denied with 403, and ends with 0: the review was decided', async () => {
    await using workspace = await Workspace.create();
    const config = await workspace.write(
      'config.yaml',
      `apiVersion: sdr-image-rewriter/v1
procurement: prefix
prefixes: [{source: ghcr.io/atlanhq, target: r.example}]
unmapped: deny
`,
    );
    const finished = await runProgram(['replay', '--config', config, fileOf(CREATED)]);
    expect(finished.code).toBe(0);
    expect(linesOf<ResponseReview>(finished)).toMatchObject([
      { response: { allowed: false, status: { code: 403 } } },
    ]);
  });

  it.each([
    ['no JSON', 'no review', 'REVIEW_NOT_JSON'],
    ['no review', '{"kind":"Pod","apiVersion":"v1"}', 'REVIEW_INVALID'],
    [
      'a review without a request',
      '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}',
      'REVIEW_INVALID',
    ],
    [
      'a review of another version',
      '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","request":{"uid":"1"}}',
      'REVIEW_INVALID',
    ],
  ])('says on standard error that a file holds %s, and ends with 1', async (_title, text, code) => {
    await using workspace = await Workspace.create();
    const bad = await workspace.write('bad.json', text);
    const finished = await replay([bad, fileOf(CREATED)]);
    expect(finished.code).toBe(1);
    expect(finished.stderr).toMatch(new RegExp(`^error: ${bad}: .*\\[${code}\\]\\n$`));
    // The others are decided all the same.
    expect(linesOf(finished)).toHaveLength(1);
  });

  it('names a bad line of a file with one review a line, answers the others, and ends with 1', async () => {
    await using workspace = await Workspace.create();
    const [first, last] = ['uid-0', 'uid-1'].map((uid) =>
      JSON.stringify(createReview(podOf(['atlanhq/a:1']), { uid })),
    );
    const bad = ['{"kind":"AdmissionReview","apiVersion', '{"kind":"Pod","apiVersion":"v1"}'];
    const text = [first, '', ...bad, last].join('\r\n');
    const file = await workspace.write('reviews.ndjson', text);
    const finished = await replay([file]);
    expect(finished.code).toBe(1);
    expect(linesOf<ResponseReview>(finished).map(({ response }) => response.uid)).toEqual([
      'uid-0',
      'uid-1',
    ]);
    expect(finished.stderr).toMatch(
      new RegExp(
        `^error: ${file}: line 3: .*\\[REVIEW_NOT_JSON\\]\nerror: ${file}: line 4: .*\\[REVIEW_INVALID\\]\n$`,
      ),
    );
  });

  it('takes a review over several lines that is broken for one', async () => {
    const text = JSON.stringify(capturedReview(CREATED), undefined, 2).replace('{', '{,');
    const finished = await replay(['-'], text);
    expect(finished).toMatchObject({ code: 1, stdout: '' });
    expect(finished.stderr).toMatch(/^error: -: the body .*\[REVIEW_NOT_JSON\]\n$/s);
  });

  it.each(['', '\n'])('refuses an input without a review: %j', async (input) => {
    const finished = await replay(['-'], input);
    expect(finished).toMatchObject({ code: 1, stdout: '' });
    expect(finished.stderr).toMatch(/^error: -: the body is not JSON: .*\[REVIEW_NOT_JSON\]\n$/);
  });

  it('passes over a byte order mark', async () => {
    const review = JSON.stringify(capturedReview(CREATED), undefined, 2);
    expect(linesOf(await replay(['-'], `\uFEFF${review}`))).toHaveLength(1);
    const line = JSON.stringify(capturedReview(CREATED));
    expect(linesOf(await replay(['-'], `\uFEFF${line}\n${line}\n`))).toHaveLength(2);
  });

  it('ends with 2 for no file, and for one that is not there', async () => {
    for (const args of [[], ['no-such-file.json']]) {
      expect(await replay(args)).toMatchObject({ code: 2, stdout: '' });
    }
  });

  it('keeps the digest of an image that is pinned', async () => {
    const text = await readFile(fileOf('create-job-pod-digest'), 'utf8');
    const [answer] = linesOf<ResponseReview>(await replay(['-'], text));
    const [, digest] = /"image":\s*"[^"@]+@(sha256:[0-9a-f]{64})"/.exec(text) ?? [];
    expect(patchOf(answer)).toContainEqual({
      op: 'replace',
      path: '/spec/containers/0/image',
      value: expect.stringMatching(new RegExp(`@${digest ?? 'none'}$`)) as unknown,
    });
  });
});
