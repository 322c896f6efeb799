import type { Command } from 'commander';
import { stringify } from 'yaml';
import { RewriterError } from '../core/errors.ts';
import { exportAdmissionPolicy } from '../core/export/admission-policy.ts';
import { exportHostsToml, type HostsFile } from '../core/export/hosts-toml.ts';
import { exportKustomize, exportKustomizeFor } from '../core/export/kustomize.ts';
import { exportMirrorSets } from '../core/export/mirror-sets.ts';
import { exportRegistriesConf } from '../core/export/registries-conf.ts';
import type { LeftOut } from '../core/export/rules.ts';
import type { PolicySettings } from '../core/policy.ts';
import { leftOverHosts, writeHosts, WRITTEN_BY } from './hosts-directory.ts';
import { expandInput } from './input.ts';
import { count, printable } from './output.ts';
import { loadSettings } from './load-policy.ts';
import { addPolicyOptions, type PolicyOptions } from './policy-options.ts';

interface ExportOptions extends PolicyOptions {
  readonly partial: boolean;
}

interface Exported {
  readonly text: string;
  readonly leftOut: readonly LeftOut[];
}

/** A format that is one text. */
interface TextFormat {
  readonly name: string;
  readonly description: string;
  /** What messages call it. */
  readonly title: string;
  /** Said in the first lines. */
  readonly head: string;
  readonly make: (settings: PolicySettings) => Exported;
}

const TEXT_FORMATS: readonly TextFormat[] = [
  {
    name: 'registries.conf',
    description: 'Prints registries.conf for Podman and CRI-O.',
    title: 'registries.conf',
    head: 'For /etc/containers/registries.conf.d/. Images go to `location` only, never back to the public registry.',
    make: exportRegistriesConf,
  },
  {
    name: 'idms',
    description: 'Prints an ImageDigestMirrorSet and an ImageTagMirrorSet for OpenShift.',
    title: 'mirror sets',
    head: 'For OpenShift 4.13 and later. The source is never contacted.',
    make: (settings) => asYaml(exportMirrorSets(settings)),
  },
  {
    name: 'mutating-admission-policy',
    description: 'Prints a MutatingAdmissionPolicy with its binding for Kubernetes 1.36 and later.',
    title: 'a MutatingAdmissionPolicy',
    head: 'For namespaces with the label sdr-image-rewriter.io/mode=enforce, Kubernetes 1.36 and later.',
    make: (settings) => asYaml(exportAdmissionPolicy(settings)),
  },
];

const KUSTOMIZE_HEAD = 'For a kustomization.yaml, as it is.';

export function addExportCommand(program: Command): void {
  const group = program.command('export').description('Says the same rules to other tools.');
  for (const { name, description, title, head, make } of TEXT_FORMATS) {
    addFormat(group, name, description).action(async (options: ExportOptions) => {
      const settings = await loadSettings(options);
      const { text, leftOut } = make(settings);
      checkComplete(title, leftOut, options);
      process.stdout.write(withHead([head], text, settings));
    });
  }
  addHostsToml(group);
  addKustomize(group);
}

function addHostsToml(group: Command): void {
  addFormat(group, 'hosts.toml', 'Prints or writes hosts.toml for containerd, one a registry.')
    .option('--directory <dir>', 'write each file to HOST/hosts.toml below it; print nothing')
    .action(async (options: ExportOptions & { readonly directory?: string }) => {
      const settings = await loadSettings(options);
      const { files, leftOut } = exportHostsToml(settings);
      checkComplete('hosts.toml', leftOut, options);
      const texts = files.map((file) => {
        return { ...file, text: withHead(hostsHead(file), file.text, settings) };
      });
      if (options.directory !== undefined) {
        await writeHosts(options.directory, texts);
        await checkLeftOver(options.directory, files, options);
      } else if (texts.length === 0) {
        process.stdout.write(withHead([], '', settings));
      } else {
        process.stdout.write(texts.map(({ text }) => text).join('\n'));
      }
    });
}

function addKustomize(group: Command): void {
  addFormat(group, 'kustomize', 'Prints the images of a kustomization.')
    .argument(
      '[image...]',
      'images as the manifests write them, or - for one a line on standard input; without any, the repositories of the map',
    )
    .action(async (images: string[], options: ExportOptions) => {
      const settings = await loadSettings(options);
      const { text, leftOut } = asYaml(
        images.length === 0
          ? exportKustomize(settings)
          : exportKustomizeFor(settings, await expandInput(images)),
      );
      const noun = images.length === 0 ? 'rule' : 'image';
      checkComplete('kustomize images', leftOut, options, noun);
      process.stdout.write(withHead([KUSTOMIZE_HEAD], text, settings));
    });
}

function addFormat(group: Command, name: string, description: string): Command {
  return addPolicyOptions(group.command(name).description(description)).option(
    '--partial',
    'export what can be said; what is left out is listed on standard error',
    false,
  );
}

function hostsHead({ host }: HostsFile): string[] {
  return [
    `/etc/containerd/certs.d/${host}/hosts.toml`,
    'The mirror is the server itself, so containerd never goes back to the public registry.',
  ];
}

function withHead(head: readonly string[], text: string, settings: PolicySettings): string {
  const isPublic = settings.procurement === 'public';
  const lines = isPublic
    ? ['procurement: public, so images are pulled as they are written.']
    : text === ''
      ? ['There is no rule that this format can say.']
      : head;
  return `${WRITTEN_BY}${lines.map((line) => `# ${line}\n`).join('')}${text}`;
}

function asYaml({
  objects,
  leftOut,
}: {
  readonly objects: readonly object[];
  readonly leftOut: readonly LeftOut[];
}): Exported {
  const documents = objects.map((object) => stringify(object, { lineWidth: 0 }));
  return { text: documents.join('---\n'), leftOut };
}

/** Lists what is left out; throws `EXPORT_INCOMPLETE` where that was not allowed. */
function checkComplete(
  format: string,
  leftOut: readonly LeftOut[],
  options: ExportOptions,
  noun = 'rule',
): void {
  for (const { rule, path, reason } of leftOut) {
    const place = path === undefined ? '' : ` (${path})`;
    process.stderr.write(`left out: ${rule}${place}: ${reason}\n`);
  }
  if (leftOut.length > 0 && !options.partial) {
    const message = `${count(leftOut.length, noun)} cannot be said as ${format}; --partial exports the others`;
    throw new RewriterError('EXPORT_INCOMPLETE', message);
  }
}

/** Lists what an earlier export wrote and this one did not; throws `EXPORT_INCOMPLETE` where that was not allowed. */
async function checkLeftOver(
  directory: string,
  files: readonly HostsFile[],
  { partial }: ExportOptions,
): Promise<void> {
  const leftOver = await leftOverHosts(directory, files);
  for (const file of leftOver) {
    process.stderr.write(
      `left over: ${printable(file)}: an earlier export wrote it, and containerd goes on to pull by it\n`,
    );
  }
  if (leftOver.length > 0 && !partial) {
    const message = `the others were written, but ${count(leftOver.length, 'file')} of an earlier export would stay in use; remove what is left over, or keep it with --partial`;
    throw new RewriterError('EXPORT_INCOMPLETE', message);
  }
}
