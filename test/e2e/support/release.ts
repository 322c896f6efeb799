import { must, run, setting } from './cluster.ts';

const CHART = 'charts/sdr-image-rewriter';

/** The values that make the chart run the image under test, by another tag of it where one is given. */
export function imageValues(tag?: string): object {
  const image = setting('LAB_IMAGE');
  const colon = image.lastIndexOf(':');
  return { image: { repository: image.slice(0, colon), tag: tag ?? image.slice(colon + 1) } };
}

/** Installs the release or upgrades it, as a user would, and waits until it is ready. */
export async function upgrade(name: string, namespace: string, values: object): Promise<void> {
  const place = ['upgrade', '--install', name, CHART, '-n', namespace, '--create-namespace'];
  await must('helm', [...place, '--wait', '--timeout', '120s', '-f', '-'], JSON.stringify(values));
}

export async function uninstall(name: string, namespace: string): Promise<void> {
  await must('helm', ['uninstall', name, '-n', namespace, '--wait', '--timeout', '90s']);
}

/** Runs `helm test`; a failure tells what the pod of the test wrote. */
export async function helmTest(name: string, namespace: string): Promise<void> {
  const args = ['test', name, '-n', namespace, '--timeout', '90s'];
  const { code, stdout, stderr } = await run('helm', args);
  if (code !== 0) {
    const logs = await run('kubectl', ['logs', `${name}-test`, '-n', namespace]);
    throw new Error([stderr, stdout, logs.stderr, logs.stdout].join('\n'));
  }
}
