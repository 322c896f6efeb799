import { readConfigDocument } from './document.ts';
import { configFault } from './fault.ts';
import { describeValue, expectation, faultsOfIssue } from './issues.ts';
import { relationFaults } from './relations.ts';
import { type Config, CONFIG_API_VERSION, configSchema } from './schema.ts';
import { type Fault, RewriterError } from '../core/errors.ts';
import { isRecord } from '../core/json-value.ts';
import type { PolicySettings } from '../core/policy.ts';

export interface ConfigFaults {
  readonly faults: readonly Fault[];
}

/** Parses the text of a configuration file (YAML, and so JSON). All faults are reported at once. */
export function parseConfig(text: string): Config | ConfigFaults {
  const document = readConfigDocument(text);
  if ('messages' in document) {
    return {
      faults: document.messages.map((message) => configFault('CONFIG_NOT_YAML', [], message)),
    };
  }
  const { value: raw } = document;
  if (!isRecord(raw)) {
    const message = `the configuration is ${describeValue(raw)}; begin it with apiVersion: ${CONFIG_API_VERSION}`;
    return { faults: [configFault('CONFIG_VALUE_INVALID', [], message)] };
  }
  const parsed = configSchema.safeParse(raw, { error: expectation });
  const issues = parsed.success ? [] : parsed.error.issues;
  const faults = [
    ...issues.flatMap((issue) => faultsOfIssue(issue, raw)),
    ...relationFaults(parsed.success ? parsed.data : readableParts(raw), raw),
  ];
  return parsed.success && faults.length === 0 ? parsed.data : { faults };
}

/** As `parseConfig`; throws a `RewriterError` that carries every fault, and names the file at `path`. */
export function checkConfig(text: string, path: string): Config {
  const parsed = parseConfig(text);
  if (!('faults' in parsed)) {
    return parsed;
  }
  const { faults } = parsed;
  const lines = faults.map((fault) => `\n  ${fault.path}: ${fault.message} [${fault.code}]`);
  const count = faults.length === 1 ? 'a fault' : `${faults.length} faults`;
  throw new RewriterError(
    faults[0]?.code ?? 'CONFIG_VALUE_INVALID',
    `the configuration ${path} has ${count}:${lines.join('')}`,
    { faults },
  );
}

/** What a policy takes from the configuration; the map comes from elsewhere. */
export function policySettings(config: Config): Omit<PolicySettings, 'map'> {
  const { procurement, sources, containerRegistryBase, prefixes } = config;
  const { unmapped, imagePullSecrets, annotate } = config;
  return {
    procurement,
    sources,
    containerRegistryBase,
    prefixes,
    unmapped,
    imagePullSecrets,
    annotate,
  };
}

/** The top-level values that are good by themselves, so that their relations can be checked as well. */
function readableParts(raw: Record<string, unknown>): Partial<Config> {
  const parts = Object.entries(configSchema.shape).flatMap(([key, schema]) => {
    const parsed = schema.safeParse(raw[key]);
    return parsed.success ? [[key, parsed.data] as const] : [];
  });
  return Object.fromEntries(parts);
}
