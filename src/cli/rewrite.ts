import { type Command, Option } from 'commander';
import { variableDefault } from '../core/compose.ts';
import { RewriterError } from '../core/errors.ts';
import { UNHANDLED_REASONS } from '../core/manifest-images.ts';
import { REASONS } from '../core/decision.ts';
import type { Policy } from '../core/policy.ts';
import { type Finding, type ManifestRewrite, rewriteManifest } from '../manifest/rewrite.ts';
import { splitJsonObjects } from '../manifest/json-stream.ts';
import { decodeText } from '../manifest/text.ts';
import { unifiedDiff } from '../manifest/unified-diff.ts';
import { EXIT_FAULT, EXIT_FINE } from './exit-codes.ts';
import { readInput } from './input.ts';
import { listInputFiles } from './manifest-files.ts';
import { replaceFiles } from './replace-files.ts';
import { count, outcomeStyle, paint, printable, renderJsonLines, renderTable } from './output.ts';
import { loadPolicy } from './load-policy.ts';
import { addPolicyOptions, type PolicyOptions } from './policy-options.ts';

interface CommandOptions extends PolicyOptions {
  readonly output: 'manifest' | 'table' | 'json';
  readonly write: boolean;
  readonly diff: boolean;
  readonly check: boolean;
  readonly reportUnhandled: boolean;
}

interface RewrittenFile extends ManifestRewrite {
  readonly file: string;
  readonly before: string;
}

export function addRewriteCommand(program: Command, finish: (exitCode: number) => void): void {
  const command = program
    .command('rewrite')
    .description(
      'Rewrites the images in Kubernetes manifests and Compose files, and changes no other byte.',
    )
    .argument('<file...>', 'YAML or JSON files, folders of them, or - for standard input')
    .option('--write', 'put the result in the place of each file, all or none', false)
    .addOption(
      new Option('--diff', 'print a unified diff in place of the result')
        .default(false)
        .conflicts(['write', 'output']),
    )
    .addOption(
      new Option('--check', 'print which files would change; exit 1 if any would')
        .default(false)
        .conflicts('write'),
    )
    .option(
      '--report-unhandled',
      'also list what reads like an image in scope where none is rewritten',
      false,
    );
  addPolicyOptions(command, 'manifest', ['manifest', 'table', 'json']).action(
    async (paths: string[], options: CommandOptions) => {
      if (options.write && paths.includes('-')) {
        throw new RewriterError('USAGE', '--write needs files; standard input cannot be replaced');
      }
      const policy = await loadPolicy(options);
      const files = await rewriteAll(paths, policy, options);
      if (files === undefined) {
        finish(EXIT_FAULT);
        return;
      }
      tell(files, policy);
      const refusal = findRefusal(files, policy);
      if (refusal !== undefined) {
        if (isReport(options)) {
          process.stdout.write(render(files, options));
        }
        throw refusal;
      }
      if (options.write) {
        const replacements = files
          .filter(isChanged)
          .map(({ file: path, before, text }) => ({ path, before, text }));
        await replaceFiles(replacements);
      }
      process.stdout.write(render(files, options));
      finish(options.check && files.some(isChanged) ? EXIT_FAULT : EXIT_FINE);
    },
  );
}

/** Undefined where a file has a fault; each is told, and then nothing may be written at all. */
async function rewriteAll(
  paths: readonly string[],
  policy: Policy,
  { reportUnhandled }: CommandOptions,
): Promise<RewrittenFile[] | undefined> {
  const files: RewrittenFile[] = [];
  let hasFault = false;
  for (const path of await listInputFiles(paths)) {
    const file = path === '-' ? 'stdin' : path;
    const bytes = await readInput(path);
    try {
      const before = decodeText(bytes, file);
      files.push({ file, before, ...rewriteManifest(before, file, { policy, reportUnhandled }) });
    } catch (error) {
      if (!(error instanceof RewriterError)) throw error;
      hasFault = true;
      const lines = error.faults.map((fault) => `${fault.path}: ${fault.message}`);
      for (const line of lines.length > 0 ? lines : [error.message]) {
        process.stderr.write(`error: ${printable(line)} [${error.code}]\n`);
      }
    }
  }
  return hasFault ? undefined : files;
}

function isChanged({ edits }: RewrittenFile): boolean {
  return edits.length > 0;
}

/** Whether the output says what would change, and is no manifest that somebody could apply. */
function isReport({ output, diff, check }: CommandOptions): boolean {
  return output !== 'manifest' || diff || check;
}

/** `MANIFEST_UNMAPPED` where an image is left that the webhook would deny. */
function findRefusal(files: readonly RewrittenFile[], policy: Policy): RewriterError | undefined {
  const images = files.flatMap(({ findings }) =>
    findings.filter(({ outcome }) => outcome === 'unmapped'),
  );
  if (policy.unmapped !== 'deny' || images.length === 0) {
    return undefined;
  }
  const number = count(images.length, 'image has', 'images have');
  return new RewriterError(
    'MANIFEST_UNMAPPED',
    `${number} no rule, and the policy says unmapped: deny; nothing was written`,
  );
}

/** Standard error gets what its reader should know, so that standard output is the result alone. */
function tell(files: readonly RewrittenFile[], policy: Policy): void {
  for (const { file, findings, remarks } of files) {
    const lines = [
      ...findings.flatMap((finding) => {
        const message = warningText(finding, policy);
        return message === undefined ? [] : [{ ...finding, message }];
      }),
      ...remarks,
    ].toSorted((one, other) => one.line - other.line);
    for (const { line, column, message } of lines) {
      process.stderr.write(`warning: ${printable(`${file}:${line}:${column}: ${message}`)}\n`);
    }
  }
}

function warningText(finding: Finding, policy: Policy): string | undefined {
  const { outcome, where, image, reason } = finding;
  switch (outcome) {
    case 'rewritten':
    case 'kept':
      return undefined;
    case 'invalid':
      return `${where ?? ''}: ${JSON.stringify(image)} is no image reference (${reason ?? ''}${faultText(image, policy)})`;
    case 'unmapped':
      return policy.unmapped === 'allow'
        ? undefined
        : `${where ?? ''}: no rule for ${image} (${reason ?? ''}: ${REASONS[reason as keyof typeof REASONS]})`;
    case 'unhandled': {
      const text = UNHANDLED_REASONS[reason as keyof typeof UNHANDLED_REASONS];
      const place = where === null ? '' : `${where}: `;
      return `${place}${image} was left alone (${reason ?? ''}: ${text})${defaultHint(image, policy)}`;
    }
  }
}

function faultText(image: string, policy: Policy): string {
  const decision = policy.decide(image);
  return decision.outcome === 'invalid' ? `: ${decision.message}` : '';
}

/** What to put into the variable, where its default tells. */
function defaultHint(image: string, policy: Policy): string {
  const usual = variableDefault(image);
  const decision = usual === undefined ? undefined : policy.decide(usual);
  return decision?.outcome === 'rewritten' ? `; its default would be ${decision.target}` : '';
}

function render(files: readonly RewrittenFile[], options: CommandOptions): string {
  switch (options.output) {
    case 'json':
      return renderJsonLines(
        files.flatMap(({ file, findings }) => findings.map((finding) => ({ file, ...finding }))),
      );
    case 'table':
      return findingTable(files);
    case 'manifest':
      if (options.diff) {
        return files
          .map(({ file, before, edits }) => colouredDiff(printable(file), before, edits))
          .join('');
      }
      return options.write || options.check ? summary(files, options) : concatenation(files);
  }
}

function findingTable(files: readonly RewrittenFile[]): string {
  const rows = files.flatMap(({ file, findings }) =>
    findings.map(({ line, where, image, outcome, target, rule, reason }) => [
      `${file}:${line}`,
      where ?? '-',
      image,
      outcome,
      target ?? '-',
      rule ?? reason ?? '',
    ]),
  );
  const columns = [
    { title: 'PLACE' },
    { title: 'WHERE' },
    { title: 'IMAGE' },
    { title: 'OUTCOME', style: outcomeStyle },
    { title: 'TARGET' },
    { title: 'WHY' },
  ];
  return renderTable(columns, rows);
}

function colouredDiff(...args: Parameters<typeof unifiedDiff>): string {
  return unifiedDiff(...args).replaceAll(/^(?:[-+]{3} .*|@@ .*|[-+].*)$/gm, (line) => {
    if (line.startsWith('@@')) return paint('cyan', line);
    if (/^(?:---|\+\+\+) /.test(line)) return paint('bold', line);
    return paint(line.startsWith('-') ? 'red' : 'green', line);
  });
}

function summary(files: readonly RewrittenFile[], { write }: CommandOptions): string {
  return files
    .filter(isChanged)
    .map(({ file, findings }) => {
      const number = findings.filter(({ outcome }) => outcome === 'rewritten').length;
      return `${printable(file)}: ${count(number, 'image')} ${write ? 'rewritten' : 'would change'}\n`;
    })
    .join('');
}

const BYTE_ORDER_MARK = '\uFEFF';

/** Several files become one stream of documents, as `kubectl apply -f -` reads it. */
function concatenation(files: readonly RewrittenFile[]): string {
  const [only] = files;
  if (only !== undefined && files.length === 1) {
    return only.text;
  }
  // In a stream of YAML, JSON objects do not follow one another without a marker.
  const texts = files.map(({ text }) => splitJsonObjects(text).join('\n---\n'));
  return texts
    .map((text, index) => {
      if (index === 0) return text;
      const before = texts[index - 1] ?? '';
      const newline = before === '' || before.endsWith('\n') ? '' : '\n';
      // A byte order mark belongs at the beginning of a stream, and a directive behind the end of a document.
      const rest = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
      const marker = /^---(?:\s|$)/.test(rest) ? '' : '---\n';
      return newline + (/^(?:[ \t]*(?:#.*)?\r?\n)*%/.test(rest) ? '...\n' : marker) + rest;
    })
    .join('');
}
