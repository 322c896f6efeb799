import { type Command, InvalidArgumentError, Option } from 'commander';
import { Coverage } from '../core/coverage/report.ts';
import { type Failure, FAILURES, hasFailure, isFailure } from '../core/coverage/failure.ts';
import { manifestKind } from '../core/manifest-images.ts';
import { EXIT_FAULT, EXIT_FINE } from './exit-codes.ts';
import { coverageJson, coverageText } from './coverage-output.ts';
import { readManifests } from './manifests.ts';
import { printable } from './output.ts';
import { loadPolicy } from './load-policy.ts';
import { addPolicyOptions, type PolicyOptions } from './policy-options.ts';
import { createProgress } from './progress.ts';

interface CoverageOptions extends PolicyOptions {
  readonly output: 'table' | 'json';
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace: readonly string[];
  readonly filename: readonly string[];
  readonly failOn: readonly Failure[];
}

const CLUSTER_OPTIONS = ['kubeconfig', 'context', 'namespace'];

export function addCoverageCommand(program: Command, finish: (exitCode: number) => void): void {
  const command = program
    .command('coverage')
    .description('Says which images in scope run or would run, and what becomes of each.')
    .option('--kubeconfig <file>', 'kubeconfig; otherwise KUBECONFIG or ~/.kube/config')
    .option('--context <name>', 'context of the kubeconfig; otherwise the current one')
    .option('-n, --namespace <name...>', 'namespaces to read; otherwise all', [])
    .addOption(
      new Option(
        '-f, --filename <path...>',
        'manifests to read in place of a cluster: files, directories, or - for standard input',
      )
        .default([])
        .conflicts(CLUSTER_OPTIONS),
    )
    .addOption(
      new Option(
        '--fail-on <state...>',
        `exit with 1 where there is one of these: ${Object.keys(FAILURES).join(', ')}`,
      )
        .argParser(parseFailures)
        .default([]),
    );
  addPolicyOptions(command, 'table').action(async (options: CoverageOptions) => {
    const coverage = new Coverage(await loadPolicy(options));
    await (options.filename.length > 0
      ? addManifests(coverage, options.filename)
      : addCluster(coverage, options));
    const report = coverage.report();
    process.stdout.write(options.output === 'json' ? coverageJson(report) : coverageText(report));
    finish(hasFailure(report, options.failOn) ? EXIT_FAULT : EXIT_FINE);
  });
}

/** Takes a name, or several with commas between; commander calls it for each argument. */
function parseFailures(value: string, before: readonly Failure[]): Failure[] {
  const names = value.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !isFailure(name));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`"${unknown}" is none of ${Object.keys(FAILURES).join(', ')}.`);
  }
  return [...before, ...names.filter(isFailure)];
}

async function addManifests(coverage: Coverage, paths: readonly string[]): Promise<void> {
  const passedOver: string[] = [];
  for await (const { file, line, document } of readManifests(paths)) {
    const place = `${file}:${line}`;
    if (document !== null && manifestKind(document) !== 'kubernetes') {
      passedOver.push(printable(place));
    }
    coverage.add(document, place);
  }
  for (const place of passedOver) {
    process.stderr.write(
      `warning: ${place}: this document is no Kubernetes object; nothing in it was counted\n`,
    );
  }
}

async function addCluster(coverage: Coverage, options: CoverageOptions): Promise<void> {
  // The Kubernetes client takes longer to load than the other commands to run.
  const { connectApi } = await import('../kube/api-reader.ts');
  const { readCoverage } = await import('../kube/read-coverage.ts');
  const progress = createProgress(process.stderr);
  try {
    await readCoverage(connectApi(options), coverage, {
      namespaces: options.namespace,
      onProgress: progress.show,
    });
  } finally {
    progress.clear();
  }
}
