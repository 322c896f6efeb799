import { readdirSync, readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { isRecord } from '../../src/core/json-value.ts';
import { listPodImages } from '../../src/core/pod-images.ts';
import type { Policy } from '../../src/core/policy.ts';
import { listWorkloads, type Path } from '../../src/core/workload.ts';
import { type Finding, type ManifestRewrite, rewriteManifest } from '../../src/manifest/rewrite.ts';
import { answerOf } from './answers.ts';
import { patched } from './patches.ts';
import { createReview } from './reviews.ts';

const FOLDER = new URL('../fixtures/manifests/', import.meta.url);

export interface ManifestFixture {
  readonly name: string;
  readonly text: string;
  /** What it becomes where `containerRegistryBase` is `registry.corp.example/mirror`. */
  readonly expected: string;
}

/** Real-world-shaped files and, beside each, what they become. */
export function manifestFixtures(): ManifestFixture[] {
  const read = (name: string): string => readFileSync(new URL(name, FOLDER), 'utf8');
  return readdirSync(FOLDER)
    .filter((name) => !name.includes('.expected.'))
    .map((name) => {
      const expected = read(name.replace(/\.(\w+)$/, '.expected.$1'));
      return { name, text: read(name), expected };
    });
}

export function rewritten(text: string, policy: Policy): ManifestRewrite {
  return rewriteManifest(text, 'file', { policy, reportUnhandled: false });
}

/** Every document as the yaml library reads it by itself, the stream cut and aliases resolved. */
export function readDocuments(text: string): unknown[] {
  const documents = parseAllDocuments(text, { merge: true });
  return 'empty' in documents
    ? []
    : documents.map((document) => {
        const [error] = document.errors;
        if (error !== undefined) throw error;
        return document.toJS({ maxAliasCount: -1 }) as unknown;
      });
}

/** The images of a pod after the webhook has answered its creation; undefined where it is denied. */
function imagesByWebhook(pod: Record<string, unknown>, policy: Policy): string[] | undefined {
  const { allowed, patch } = answerOf(createReview(pod), policy).response;
  return allowed ? listPodImages(patched(pod, patch)).map(({ image }) => image) : undefined;
}

export interface TemplateComparison {
  readonly place: string;
  readonly byWebhook: readonly string[] | undefined;
  readonly byRewrite: readonly string[];
}

/** For each pod template of a text: its images by the webhook, and those that stand in the rewritten text. */
export function compareWithWebhook(
  before: string,
  after: string,
  policy: Policy,
): TemplateComparison[] {
  const documents = readDocuments(after);
  return readDocuments(before).flatMap((document, index) =>
    listWorkloads(document)
      .filter(
        ({ apiVersion, kind }) => !(apiVersion.startsWith('argo') && kind.includes('Workflow')),
      )
      .flatMap(({ kind, templates }) =>
        templates.map(({ path }) => {
          const template = valueAtPath(document, path);
          const pod = isRecord(template) ? template : {};
          return {
            place: `document ${index + 1}: ${kind}`,
            byWebhook: imagesByWebhook({ metadata: pod.metadata, spec: pod.spec }, policy),
            byRewrite: listPodImages(valueAtPath(documents[index], path)).map(({ image }) => image),
          };
        }),
      ),
  );
}

/** All documents of a text, with each image blanked that the findings name. */
export function withoutImages(text: string, images: ReadonlySet<string>): unknown[] {
  return JSON.parse(
    JSON.stringify(readDocuments(text), (_key, value: unknown) =>
      typeof value === 'string' && images.has(value) ? '<image>' : value,
    ),
  ) as unknown[];
}

/** What stands in the text at the place of a finding. */
export function textAt(text: string, { line, column }: Pick<Finding, 'line' | 'column'>): string {
  const lines = text.split('\n').slice(line - 1);
  return lines.join('\n').slice(column - 1);
}

export function valueAtPath(document: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, key) =>
      typeof at === 'object' && at !== null && Object.hasOwn(at, key)
        ? Reflect.get(at, key)
        : undefined,
    document,
  );
}
