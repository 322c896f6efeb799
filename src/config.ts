import { parseDocument } from 'yaml';
import * as z from 'zod';
import { type ErrorCode, type Fault, isInvalid, quote } from './core/errors.ts';
import { isRecord, jsonPath } from './core/json-path.ts';
import { PROCUREMENTS, type PolicySettings, UNMAPPED_ACTIONS } from './core/policy.ts';
import {
  covers,
  parsePrefix,
  parseTargetPrefix,
  type Prefix,
  PrefixTable,
} from './core/prefix-rules.ts';

export const CONFIG_API_VERSION = 'sdr-image-rewriter/v1';
export const DEFAULT_SOURCES = ['docker.io/atlanhq', 'ghcr.io/atlanhq', 'registry.atlan.com'];
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

const MILLISECONDS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;

function duration(least: string, most: string, otherwise: string) {
  return z
    .string()
    .regex(DURATION, 'write a number and ms, s, m or h, such as 60s')
    .transform(milliseconds)
    .refine(
      (value) => value >= milliseconds(least) && value <= milliseconds(most),
      `must be between ${least} and ${most}`,
    )
    .prefault(otherwise);
}

/** Milliseconds of a text that matches `DURATION`. */
function milliseconds(text: string): number {
  const [, amount, unit] = DURATION.exec(text) ?? [];
  return Number(amount) * MILLISECONDS[unit as keyof typeof MILLISECONDS];
}

/** The JSON Schema keeps only a meaning that is told of the text, before it is parsed. */
function prefixText(parse: typeof parsePrefix, meaning = 'registry or registry/path') {
  return z
    .string()
    .describe(meaning)
    .transform((text, context): Prefix => {
      const prefix = parse(text);
      if (isInvalid(prefix)) {
        context.addIssue({ code: 'custom', message: prefix.message });
        return z.NEVER;
      }
      return prefix;
    });
}

const targetPrefix = prefixText(parseTargetPrefix);

/** A path, or empty for none. */
const optionalFile = z.string().default('');

const mapUrl = z
  .string()
  .default('')
  .refine(
    (text) =>
      text === '' ||
      (/^(?:s3:\/\/[^/]+\/.+|https:\/\/[^/]+\/.*|file:\/\/\/.+)$/.test(text) && URL.canParse(text)),
    'write s3://bucket/key, https://host/path or file:///path',
  );

const secretName = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/,
    'must be the name of a Secret: lower-case letters, digits, - and .',
  );

const s3Settings = z
  .strictObject({
    region: z
      .string()
      .default('')
      .describe('Region of the bucket; empty: as the AWS SDK finds it.'),
    endpoint: z
      .string()
      .regex(/^(?:https?:\/\/.+)?$/, 'write http://host:port or https://host')
      .default('')
      .describe('URL of an S3-compatible service; empty: AWS.'),
    forcePathStyle: z
      .boolean()
      .default(false)
      .describe('Bucket in the path, not in the host name.'),
    caFile: optionalFile.describe('PEM file of the CA of the endpoint, also of an https:// URL.'),
    versionId: z.string().default('').describe('Pins one version of the object.'),
    expectedBucketOwner: z
      .string()
      .regex(/^(?:\d{12})?$/, 'must be a 12-digit AWS account ID')
      .default('')
      .describe('AWS account that must own the bucket.'),
  })
  .prefault({})
  .describe('How to reach the bucket of an s3:// URL; credentials come from the AWS SDK.');

const imageMapSettings = z.strictObject({
  url: mapUrl.describe('Where the map is: s3://bucket/key, https://host/path or file:///path.'),
  urlFile: optionalFile.describe('File that holds the URL, for one with a token.'),
  headersFile: optionalFile.describe('JSON file of extra request headers for https://.'),
  refreshInterval: duration('100ms', '24h', '60s').describe('Time between two reads, ±20 %.'),
  timeout: duration('100ms', '5m', '15s').describe('For one whole read, body included.'),
  maxBytes: z.int().min(1).max(268_435_456).default(8_388_608).describe('Largest map in bytes.'),
  cacheFile: optionalFile.describe('Keeps the last good map over a restart.'),
  allowRollback: z.boolean().default(false).describe('Accept a lower serial than the one in use.'),
  maxShrink: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe('Share of the entries in use that a new map may lose.'),
  publicKeyFile: optionalFile.describe('Ed25519 public keys (PEM) for the signature at <url>.sig.'),
  s3: s3Settings,
});

const port = z.int().min(0).max(65_535);

const configSchema = z.strictObject({
  apiVersion: z.literal(CONFIG_API_VERSION).describe('Version of this format.'),
  procurement: z.enum(PROCUREMENTS).describe('Where images come from.'),
  sources: z
    .array(prefixText(parsePrefix))
    .min(1, 'name at least one prefix')
    .prefault(DEFAULT_SOURCES)
    .describe('Prefixes of the images that may be rewritten; all others are left alone.'),
  containerRegistryBase: z
    .literal('')
    .transform(() => undefined)
    .or(targetPrefix)
    .optional()
    .describe('Takes the place of the registry host; the rest of the name stays.'),
  prefixes: z
    .array(
      z.strictObject({
        source: prefixText(parsePrefix, 'Prefix of the names that move.'),
        target: prefixText(parseTargetPrefix, 'What takes its place; begins with a registry host.'),
      }),
    )
    .prefault([])
    .describe('Prefix rules; the longest source wins.'),
  unmapped: z
    .enum(UNMAPPED_ACTIONS)
    .default('warn')
    .describe('What an image in scope without a rule gets.'),
  allowedTargets: z
    .array(targetPrefix)
    .prefault([])
    .describe('A map or rule that points anywhere else is refused whole; empty: no limit.'),
  imagePullSecrets: z
    .array(secretName)
    .default([])
    .describe('Names appended to the pull secrets of a rewritten pod.'),
  annotate: z.boolean().default(true).describe('Write the original images into annotations.'),
  imageMap: imageMapSettings.prefault({}).describe('The image map; used with procurement: map.'),
  server: z
    .strictObject({
      host: z.string().min(1).default('::').describe('Address of the HTTPS server.'),
      port: port.default(8443).describe('Port of the HTTPS server.'),
      tls: z
        .strictObject({
          certFile: optionalFile.describe('PEM certificate chain.'),
          keyFile: optionalFile.describe('PEM private key.'),
          minVersion: z
            .enum(['TLSv1.2', 'TLSv1.3'])
            .default('TLSv1.2')
            .describe('Oldest TLS version to accept.'),
          clientCAFile: optionalFile.describe('PEM CA of client certificates; empty: none asked.'),
          clientSubjects: z
            .array(z.string().min(1))
            .default([])
            .describe('Common names of the clients that may call; empty: any signed by the CA.'),
          selfManaged: z
            .strictObject({
              namespace: z.string().min(1).describe('Namespace of the Secret.'),
              secret: secretName.describe('Secret that holds the authority and the certificate.'),
              webhookConfiguration: z
                .string()
                .min(1)
                .describe('MutatingWebhookConfiguration whose caBundle is kept up.'),
              dnsNames: z
                .array(z.string().min(1))
                .min(1, 'name at least one')
                .describe('Names of the Service that the API server calls.'),
              authorityLifetime: duration('1m', '87600h', '8760h').describe(
                'Life of the authority; renewed after two thirds of it.',
              ),
              leafLifetime: duration('1m', '8760h', '2160h').describe(
                'Life of the certificate; renewed after two thirds of it.',
              ),
            })
            .optional()
            .describe('The process makes and renews its certificate itself, in Kubernetes.'),
        })
        .prefault({})
        .describe('Certificate of the HTTPS server; the files are watched.'),
    })
    .prefault({})
    .describe('The HTTPS server that the API server calls; changes need a restart.'),
  ops: z
    .strictObject({
      host: z.string().min(1).default('::').describe('Address of probes, metrics and status.'),
      port: port.default(8080).describe('Port of probes, metrics and status.'),
    })
    .prefault({})
    .describe('The plain HTTP server for operators; changes need a restart.'),
  log: z
    .strictObject({
      level: z.enum(LOG_LEVELS).default('info').describe('Least level of the lines to write.'),
    })
    .prefault({})
    .describe('The JSON log on standard output.'),
});

/** A checked configuration; durations are in milliseconds, prefixes are parsed. */
export type Config = z.output<typeof configSchema>;
export type ImageMapConfig = Config['imageMap'];

export interface ConfigFaults {
  readonly faults: readonly Fault[];
}

/** JSON Schema (draft 2020-12) of the configuration file. */
export function configJsonSchema(): object {
  return {
    title: 'sdr-image-rewriter configuration',
    ...z.toJSONSchema(configSchema, { io: 'input' }),
  };
}

/** The environment of the process; only the standard proxy variables are read here, the AWS SDK reads its own. */
export function environment(): NodeJS.ProcessEnv {
  return process.env;
}

/** Parses the text of a configuration file (YAML, and so JSON). All faults are reported at once. */
export function parseConfig(text: string): Config | ConfigFaults {
  const document = parseDocument(text, { prettyErrors: true, version: '1.2' });
  if (document.errors.length > 0) {
    return {
      faults: document.errors.map(({ message }) => fault('CONFIG_NOT_YAML', [], message.trimEnd())),
    };
  }
  let raw: unknown;
  try {
    raw = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return { faults: [fault('CONFIG_NOT_YAML', [], (error as Error).message)] };
  }
  if (!isRecord(raw)) {
    const message = `the configuration is ${describe(raw)}; begin it with apiVersion: ${CONFIG_API_VERSION}`;
    return { faults: [fault('CONFIG_VALUE_INVALID', [], message)] };
  }
  const parsed = configSchema.safeParse(raw);
  const faults = parsed.success
    ? []
    : parsed.error.issues.flatMap((issue) => faultsOfIssue(issue, raw));
  faults.push(...crossFaults(parsed.success ? parsed.data : readableParts(raw)));
  return parsed.success && faults.length === 0 ? parsed.data : { faults };
}

/** Settings that are fine but have no effect; the operator should hear of them. */
export function idleSettings(config: Config): string[] {
  const { procurement, imageMap, prefixes, containerRegistryBase, sources } = config;
  const idle: string[] = [];
  if (procurement !== 'map' && (imageMap.url !== '' || imageMap.urlFile !== '')) {
    idle.push(`imageMap has no effect with procurement: ${procurement}`);
  }
  if (procurement === 'public' && (prefixes.length > 0 || containerRegistryBase !== undefined)) {
    idle.push('prefixes and containerRegistryBase have no effect with procurement: public');
  }
  for (const { source } of prefixes) {
    const meetsScope = sources.some(
      ({ value }) => covers(value, source.value) || covers(source.value, value),
    );
    if (!meetsScope) {
      idle.push(`the prefix rule for ${source.value} has no effect: no entry of sources covers it`);
    }
  }
  return idle;
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

function fault(code: ErrorCode, path: readonly PropertyKey[], message: string): Fault {
  return { code, path: jsonPath(path), message };
}

/** The top-level values that are good by themselves, so that their relations can be checked as well. */
function readableParts(raw: Record<string, unknown>): Partial<Config> {
  const parts = Object.entries(configSchema.shape).flatMap(([key, schema]) => {
    const parsed = schema.safeParse(raw[key]);
    return parsed.success ? [[key, parsed.data] as const] : [];
  });
  return Object.fromEntries(parts);
}

function crossFaults(config: Partial<Config>): Fault[] {
  const {
    procurement,
    containerRegistryBase,
    prefixes = [],
    imageMap,
    allowedTargets = [],
  } = config;
  const faults: Fault[] = [];
  if (procurement === 'prefix' && containerRegistryBase === undefined && prefixes.length === 0) {
    const message =
      'procurement: prefix needs containerRegistryBase or at least one entry of prefixes';
    faults.push(fault('CONFIG_INCOMPLETE', ['containerRegistryBase'], message));
  }
  if (procurement === 'map' && imageMap?.url === '' && imageMap.urlFile === '') {
    const message = 'procurement: map needs imageMap.url or imageMap.urlFile';
    faults.push(fault('CONFIG_INCOMPLETE', ['imageMap', 'url'], message));
  }
  if (imageMap !== undefined && imageMap.url !== '' && imageMap.urlFile !== '') {
    const message = 'set url or urlFile, not both';
    faults.push(fault('CONFIG_VALUE_INVALID', ['imageMap', 'urlFile'], message));
  }
  const allowed = new PrefixTable<true>();
  for (const { value } of allowedTargets) {
    allowed.set(value, true);
  }
  const checkTarget = (target: Prefix, path: readonly PropertyKey[]): void => {
    if (allowed.size > 0 && allowed.longest(target.value) === undefined) {
      const message = `${quote(target.text)} lies outside allowedTargets (${allowedTargets.map(({ value }) => value).join(', ')})`;
      faults.push(fault('CONFIG_TARGET_FORBIDDEN', path, message));
    }
  };
  if (containerRegistryBase !== undefined) {
    checkTarget(containerRegistryBase, ['containerRegistryBase']);
  }
  prefixes.forEach(({ source, target }, index) => {
    checkTarget(target, ['prefixes', index, 'target']);
    const twin = prefixes.findIndex((other) => other.source.value === source.value);
    if (twin < index && prefixes[twin]?.target.value !== target.value) {
      const message = `${quote(source.text)} is also the source of prefixes[${twin}], with another target`;
      faults.push(fault('CONFIG_VALUE_INVALID', ['prefixes', index, 'source'], message));
    }
    const next = prefixes.findIndex((other) => isMovedAgain(target, other));
    if (next >= 0) {
      const message = `${quote(target.text)} is itself a source: see prefixes[${next}]; let every source point straight at its final target`;
      faults.push(fault('CONFIG_VALUE_INVALID', ['prefixes', index, 'target'], message));
    }
  });
  return faults;
}

/** Whether `rule` would move what lies under `target`; a rule may move names to below itself. */
function isMovedAgain(
  target: Prefix,
  rule: { readonly source: Prefix; readonly target: Prefix },
): boolean {
  const movesAll =
    covers(rule.source.value, target.value) && !covers(rule.target.value, target.value);
  return movesAll || covers(target.value, rule.source.value);
}

function faultsOfIssue(issue: z.core.$ZodIssue, raw: unknown): Fault[] {
  if (issue.code === 'unrecognized_keys') {
    const allowed = keysAt(issue.path);
    return issue.keys.map((key) => {
      const message = `${quote(key)} is not a key here; allowed are ${allowed.join(', ')}`;
      return fault('CONFIG_KEY_UNKNOWN', [...issue.path, key], message);
    });
  }
  const value = issue.path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined),
    raw,
  );
  if (value === undefined) {
    return [fault('CONFIG_INCOMPLETE', issue.path, `is missing; ${expectation(issue)}`)];
  }
  const problem = issueInside(issue);
  const message =
    problem.code === 'custom'
      ? problem.message
      : `${describe(value)} is not valid: ${expectation(problem)}`;
  return [fault('CONFIG_VALUE_INVALID', issue.path, message)];
}

/** Of a union only the last branch is worth telling: the others are the empty string. */
function issueInside(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  return issue.code === 'invalid_union' ? (issue.errors.at(-1)?.[0] ?? issue) : issue;
}

function expectation(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') {
    return `give ${issue.expected === 'array' ? 'a list' : `a value of type ${issue.expected}`}`;
  }
  if (issue.code === 'invalid_value') {
    return `allowed are ${issue.values.map(String).join(', ')}`;
  }
  if (issue.code === 'too_small' && issue.origin !== 'array') {
    return `it must be at least ${issue.minimum}`;
  }
  return issue.code === 'too_big' ? `it must be at most ${issue.maximum}` : issue.message;
}

/** The keys that the schema knows at a path. */
function keysAt(path: readonly PropertyKey[]): string[] {
  let schema: unknown = configSchema;
  for (const key of path) {
    const bare = unwrap(schema);
    schema = bare instanceof z.ZodArray ? bare.element : shapeOf(bare)[String(key)];
  }
  return Object.keys(shapeOf(unwrap(schema)));
}

function unwrap(schema: unknown): unknown {
  return schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodOptional
    ? unwrap(schema.unwrap())
    : schema;
}

function shapeOf(schema: unknown): Record<string, unknown> {
  return schema instanceof z.ZodObject ? schema.shape : {};
}

function describe(value: unknown): string {
  return typeof value === 'object' || value === undefined
    ? value === null || value === undefined
      ? 'empty'
      : Array.isArray(value)
        ? 'a list'
        : 'an object'
    : typeof value === 'string'
      ? quote(value)
      : JSON.stringify(value);
}
