import type { Coverage } from '../core/coverage/report.ts';
import { quote, RewriterError } from '../core/errors.ts';
import { isRecord } from '../core/json-value.ts';
import { type ApiReader, messageOf } from './api-reader.ts';
import { listPages } from './list-pages.ts';
import { BUILT_IN_RESOURCES, findOptionalResources, type Resource } from './workload-resources.ts';

const WEBHOOKS = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
const NAMESPACES = '/api/v1/namespaces';

export interface ReadOptions {
  /** Empty: all. */
  readonly namespaces: readonly string[];
  /** Told after each page how many objects of a kind have been read. */
  readonly onProgress: (plural: string, count: number) => void;
}

/**
 * Reads all that coverage needs from a cluster. What the caller may not list becomes a note; throws a
 * `RewriterError` where nothing at all may be listed, or the cluster gives no answer.
 */
export async function readCoverage(
  api: ApiReader,
  coverage: Coverage,
  options: ReadOptions,
): Promise<void> {
  await readWebhooks(api, coverage);
  await readNamespaces(api, coverage, options.namespaces);
  const resources = [...(await readOptional(api, coverage)), ...BUILT_IN_RESOURCES];
  const places = resources.flatMap((resource) => placesOf(resource, options.namespaces));
  const refusals: RewriterError[] = [];
  for (const place of places) {
    const refusal = await unlessForbidden(() => readPlace(api, coverage, place, options));
    if (refusal !== undefined) {
      refusals.push(refusal);
      coverage.noteMissing(`${place.path} was not read: ${refusal.message}`);
    }
  }
  const last = refusals.at(-1);
  if (last !== undefined && refusals.length === places.length) {
    throw last;
  }
}

async function readPlace(
  api: ApiReader,
  coverage: Coverage,
  { path, plural }: Place,
  { onProgress }: ReadOptions,
): Promise<void> {
  let count = 0;
  for await (const page of listPages(api, path)) {
    coverage.add(page);
    count += itemsIn(page);
    onProgress(plural, count);
  }
}

async function readOptional(api: ApiReader, coverage: Coverage): Promise<readonly Resource[]> {
  let found: readonly Resource[] = [];
  const refusal = await unlessForbidden(async () => {
    found = await findOptionalResources(api);
  });
  if (refusal !== undefined) {
    coverage.noteMissing(`kinds that the cluster may have in addition: ${refusal.message}`);
  }
  return found;
}

async function readWebhooks(api: ApiReader, coverage: Coverage): Promise<void> {
  const refusal = await unlessForbidden(async () => {
    for await (const page of listPages(api, WEBHOOKS)) {
      coverage.add(page);
    }
    coverage.webhooksAreRead();
  });
  if (refusal !== undefined) {
    coverage.note(`whether the webhook sees a namespace is not known: ${refusal.message}`);
  }
}

async function readNamespaces(
  api: ApiReader,
  coverage: Coverage,
  names: readonly string[],
): Promise<void> {
  const refusal = await unlessForbidden(async () => {
    if (names.length === 0) {
      for await (const page of listPages(api, NAMESPACES)) {
        coverage.add(page);
      }
    }
    for (const name of names) {
      coverage.add(await readNamespace(api, name));
    }
  });
  if (refusal !== undefined) {
    coverage.note(`the labels of namespaces are not known: ${refusal.message}`);
  }
}

async function readNamespace(api: ApiReader, name: string): Promise<unknown> {
  const { status, body } = await api.get(`${NAMESPACES}/${encodeURIComponent(name)}`);
  switch (status) {
    case 403:
      throw new RewriterError('CLUSTER_FORBIDDEN', messageOf(body));
    case 404:
    case 410:
      throw new RewriterError('USAGE', `the cluster has no namespace ${quote(name)}`);
    case 200:
      return body;
  }
}

interface Place {
  readonly path: string;
  readonly plural: string;
}

/** Kinds without a namespace are left out where namespaces are asked for. */
function placesOf(
  { root, plural, isNamespaced }: Resource,
  namespaces: readonly string[],
): Place[] {
  if (namespaces.length === 0) {
    return [{ path: `${root}/${plural}`, plural }];
  }
  return namespaces
    .filter(() => isNamespaced)
    .map((name) => {
      return { path: `${root}/namespaces/${encodeURIComponent(name)}/${plural}`, plural };
    });
}

async function unlessForbidden(read: () => Promise<void>): Promise<RewriterError | undefined> {
  try {
    await read();
    return undefined;
  } catch (error) {
    if (error instanceof RewriterError && error.code === 'CLUSTER_FORBIDDEN') {
      return error;
    }
    throw error;
  }
}

function itemsIn(page: unknown): number {
  return isRecord(page) && Array.isArray(page.items) ? page.items.length : 0;
}
