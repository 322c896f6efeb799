import { fileURLToPath } from 'node:url';
import { en } from 'zod/locales';
import * as z from 'zod/mini';
import { readConfigDocument } from './config-document.ts';
import { type ErrorCode, type Fault, isInvalid, quote, RewriterError } from './core/errors.ts';
import { isRecord, jsonPath } from './core/json-path.ts';
import { PROCUREMENTS } from './core/decider.ts';
import { type PolicySettings, UNMAPPED_ACTIONS } from './core/policy.ts';
import {
  covers,
  parsePrefix,
  parseTargetPrefix,
  type Prefix,
  PrefixTable,
} from './core/prefix-rules.ts';

export const CONFIG_API_VERSION = 'sdr-image-rewriter/v1';
const DEFAULT_SOURCES = ['docker.io/atlanhq', 'ghcr.io/atlanhq', 'registry.atlan.com'];
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

const MILLISECONDS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;

/** What the JSON Schema and the documentation say of a setting. */
function setting<Schema extends z.ZodMiniType>(meaning: string, schema: Schema): Schema {
  return schema.check(z.describe(meaning));
}

function duration(least: string, most: string, otherwise: string) {
  const text = z.string().check(z.regex(DURATION, 'write a number and ms, s, m or h, such as 60s'));
  const parse = z.transform((given: string, { issues }): number => {
    const value = milliseconds(given);
    if (value < milliseconds(least) || value > milliseconds(most)) {
      const message = `${quote(given)} must be between ${least} and ${most}`;
      issues.push({ code: 'custom', message, input: given });
    }
    return value;
  });
  return z.prefault(z.pipe(text, parse), otherwise);
}

/** Milliseconds of a text that matches `DURATION`. */
function milliseconds(text: string): number {
  const [, amount, unit] = DURATION.exec(text) ?? [];
  return Number(amount) * MILLISECONDS[unit as keyof typeof MILLISECONDS];
}

/** The JSON Schema keeps only a meaning that is told of the text, before it is parsed. */
function prefixText(parse: typeof parsePrefix, meaning = 'registry or registry/path') {
  return z.pipe(
    setting(meaning, z.string()),
    z.transform((text: string, { issues }): Prefix => {
      const prefix = parse(text);
      if (isInvalid(prefix)) {
        issues.push({ code: 'custom', message: prefix.message, input: text });
        return z.NEVER;
      }
      return prefix;
    }),
  );
}

const targetPrefix = prefixText(parseTargetPrefix);

const noBase = z.pipe(
  z.literal(''),
  z.transform(() => undefined),
);

/** Empty for none. */
const optionalText = z._default(z.string(), '');

const nonEmptyText = z.string().check(z.minLength(1));

/** No path has a NUL character, and Node.js throws where it meets one. */
const optionalFile = optionalText.check(
  z.refine((text) => !text.includes('\0'), 'must be the path of a file'),
);

/** What `isMapUrl` takes. */
export const MAP_URL_FORMS = 's3://bucket/key, https://host/path or file:///path';

const mapUrl = optionalText.check(
  z.refine((text) => text === '' || isMapUrl(text), `write ${MAP_URL_FORMS}`),
);

/** Whether a source of maps can be made of it. */
export function isMapUrl(text: string): boolean {
  const isUrl =
    /^(?:s3:\/\/[^/]+\/.+|https:\/\/[^/]+\/.*|file:\/\/\/.+)$/.test(text) && URL.canParse(text);
  return isUrl && (!text.startsWith('file:') || isFileUrl(text));
}

/** Whether it names a file: an encoded slash, a NUL character or a stray % has no place in a path. */
function isFileUrl(text: string): boolean {
  try {
    return !fileURLToPath(text).includes('\0');
  } catch {
    return false;
  }
}

const secretName = z
  .string()
  .check(
    z.regex(
      /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/,
      'must be the name of a Secret: lower-case letters, digits, - and .',
    ),
  );

const ENDPOINT_FORM = 'write http://host:port or https://host';

const s3Settings = z.strictObject({
  region: setting('Region of the bucket; empty: as the AWS SDK finds it.', optionalText),
  endpoint: setting(
    'URL of an S3-compatible service; empty: AWS.',
    z._default(
      z.string().check(
        z.regex(/^(?:https?:\/\/.+)?$/, ENDPOINT_FORM),
        z.refine((text) => !text.includes('://') || URL.canParse(text), ENDPOINT_FORM),
      ),
      '',
    ),
  ),
  forcePathStyle: setting(
    'Bucket in the path, not in the host name.',
    z._default(z.boolean(), false),
  ),
  caFile: setting('PEM file of the CA of the endpoint, also of an https:// URL.', optionalFile),
  versionId: setting('Pins one version of the object.', optionalText),
  expectedBucketOwner: setting(
    'AWS account that must own the bucket.',
    z._default(z.string().check(z.regex(/^(?:\d{12})?$/, 'must be a 12-digit AWS account ID')), ''),
  ),
});

const imageMapSettings = z.strictObject({
  url: setting('Where the map is: s3://bucket/key, https://host/path or file:///path.', mapUrl),
  urlFile: setting('File that holds the URL, for one with a token.', optionalFile),
  headersFile: setting('JSON file of extra request headers for https://.', optionalFile),
  refreshInterval: setting('Time between two reads, ±20 %.', duration('100ms', '24h', '60s')),
  timeout: setting('For one whole read, body included.', duration('100ms', '5m', '15s')),
  maxBytes: setting(
    'Largest map in bytes.',
    z._default(z.int().check(z.minimum(1), z.maximum(268_435_456)), 8_388_608),
  ),
  cacheFile: setting('Keeps the last good map over a restart.', optionalFile),
  allowRollback: setting(
    'Accept a lower serial than the one in use.',
    z._default(z.boolean(), false),
  ),
  maxShrink: setting(
    'Share of the entries in use that a new map may lose.',
    z._default(z.number().check(z.minimum(0), z.maximum(1)), 0.5),
  ),
  publicKeyFile: setting('Ed25519 public keys (PEM) for the signature at <url>.sig.', optionalFile),
  s3: setting(
    'How to reach the bucket of an s3:// URL; credentials come from the AWS SDK.',
    z.prefault(s3Settings, {}),
  ),
});

const selfManagedSettings = z.strictObject({
  namespace: setting('Namespace of the Secret.', nonEmptyText),
  secret: setting('Secret that holds the authority and the certificate.', secretName),
  webhookConfiguration: setting(
    'MutatingWebhookConfiguration whose caBundle is kept up.',
    nonEmptyText,
  ),
  dnsNames: setting(
    'Names of the Service that the API server calls.',
    z.array(nonEmptyText).check(z.minLength(1, 'name at least one')),
  ),
  authorityLifetime: setting(
    'Life of the authority; renewed after two thirds of it.',
    duration('1m', '87600h', '8760h'),
  ),
  leafLifetime: setting(
    'Life of the certificate; renewed after two thirds of it.',
    duration('1m', '8760h', '2160h'),
  ),
});

const tlsSettings = z.strictObject({
  certFile: setting('PEM certificate chain.', optionalFile),
  keyFile: setting('PEM private key.', optionalFile),
  minVersion: setting(
    'Oldest TLS version to accept.',
    z._default(z.enum(['TLSv1.2', 'TLSv1.3']), 'TLSv1.2'),
  ),
  clientCAFile: setting('PEM CA of client certificates; empty: none asked.', optionalFile),
  clientSubjects: setting(
    'Common names of the clients that may call; empty: any signed by the CA.',
    z._default(z.array(nonEmptyText), []),
  ),
  selfManaged: setting(
    'The process makes and renews its certificate itself, in Kubernetes.',
    z.optional(selfManagedSettings),
  ),
});

const host = z._default(nonEmptyText, '::');
const port = z.int().check(z.minimum(0), z.maximum(65_535));

const serverSettings = z.strictObject({
  host: setting('Address of the HTTPS server.', host),
  port: setting('Port of the HTTPS server.', z._default(port, 8443)),
  tls: setting(
    'Certificate of the HTTPS server; the files are watched.',
    z.prefault(tlsSettings, {}),
  ),
});

const opsSettings = z.strictObject({
  host: setting('Address of probes, metrics and status.', host),
  port: setting('Port of probes, metrics and status.', z._default(port, 8080)),
});

const logSettings = z.strictObject({
  level: setting(
    'Least level of the lines to write. Decisions are `info`: with `warn` and above there is no audit log.',
    z._default(z.enum(LOG_LEVELS), 'info'),
  ),
});

const prefixRule = z.strictObject({
  source: prefixText(parsePrefix, 'Prefix of the names that move.'),
  target: prefixText(parseTargetPrefix, 'What takes its place; begins with a registry host.'),
});

const configSchema = z.strictObject({
  apiVersion: setting('Version of this format.', z.literal(CONFIG_API_VERSION)),
  procurement: setting('Where images come from.', z.enum(PROCUREMENTS)),
  sources: setting(
    'Prefixes of the images that may be rewritten; all others are left alone.',
    z.prefault(
      z.array(prefixText(parsePrefix)).check(z.minLength(1, 'name at least one prefix')),
      DEFAULT_SOURCES,
    ),
  ),
  containerRegistryBase: setting(
    'Takes the place of the registry host; the rest of the name stays.',
    z.optional(z.union([noBase, targetPrefix])),
  ),
  prefixes: setting('Prefix rules; the longest source wins.', z.prefault(z.array(prefixRule), [])),
  unmapped: setting(
    'What an image in scope without a rule gets.',
    z._default(z.enum(UNMAPPED_ACTIONS), 'warn'),
  ),
  allowedTargets: setting(
    'A map or rule that points anywhere else is refused whole; empty: no limit.',
    z.prefault(z.array(targetPrefix), []),
  ),
  imagePullSecrets: setting(
    'Names appended to the pull secrets of a rewritten pod.',
    z._default(z.array(secretName), []),
  ),
  annotate: setting('Write the original images into annotations.', z._default(z.boolean(), true)),
  imageMap: setting('The image map; used with procurement: map.', z.prefault(imageMapSettings, {})),
  server: setting(
    'The HTTPS server that the API server calls; changes need a restart.',
    z.prefault(serverSettings, {}),
  ),
  ops: setting(
    'The plain HTTP server for operators; changes need a restart.',
    z.prefault(opsSettings, {}),
  ),
  log: setting('The JSON log on standard output.', z.prefault(logSettings, {})),
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
  const document = readConfigDocument(text);
  if ('messages' in document) {
    return { faults: document.messages.map((message) => fault('CONFIG_NOT_YAML', [], message)) };
  }
  const { value: raw } = document;
  if (!isRecord(raw)) {
    const message = `the configuration is ${describe(raw)}; begin it with apiVersion: ${CONFIG_API_VERSION}`;
    return { faults: [fault('CONFIG_VALUE_INVALID', [], message)] };
  }
  // The small interface of zod has no messages unless a language is named.
  const parsed = configSchema.safeParse(raw, { error: en().localeError });
  const issues = parsed.success ? [] : parsed.error.issues;
  const faults = [
    ...issues.flatMap((issue) => faultsOfIssue(issue, raw)),
    ...crossFaults(parsed.success ? parsed.data : readableParts(raw), raw),
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
  const isMirrored = ({ value }: Prefix): boolean =>
    containerRegistryBase !== undefined && covers(containerRegistryBase.value, value);
  for (const source of sources.filter(isMirrored)) {
    idle.push(`images of ${source.value} stay as they are: they lie under containerRegistryBase`);
  }
  for (const { source } of prefixes) {
    const meetsScope = sources.some(
      ({ value }) => covers(value, source.value) || covers(source.value, value),
    );
    if (!meetsScope) {
      idle.push(`the prefix rule for ${source.value} has no effect: no entry of sources covers it`);
    }
    if (isMirrored(source)) {
      idle.push(
        `the prefix rule for ${source.value} has no effect: what lies under containerRegistryBase counts as mirrored`,
      );
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

/** `raw` tells what is missing from what is there and bad. */
function crossFaults(config: Partial<Config>, raw: Record<string, unknown>): Fault[] {
  const {
    procurement,
    containerRegistryBase,
    prefixes = [],
    imageMap,
    allowedTargets = [],
    server,
  } = config;
  const faults: Fault[] = [];
  const hasTarget =
    prefixes.length > 0 ||
    ['containerRegistryBase', 'prefixes'].some((key) => key in raw && !(key in config)) ||
    containerRegistryBase !== undefined;
  if (procurement === 'prefix' && !hasTarget) {
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
  if (
    server !== undefined &&
    server.tls.clientSubjects.length > 0 &&
    server.tls.clientCAFile === ''
  ) {
    // Whoever names the callers believes that nobody else can call.
    const message = 'clientSubjects needs clientCAFile; without it everybody may call';
    faults.push(fault('CONFIG_INCOMPLETE', ['server', 'tls', 'clientCAFile'], message));
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
    schema = bare instanceof z.ZodMiniArray ? bare.def.element : shapeOf(bare)[String(key)];
  }
  return Object.keys(shapeOf(unwrap(schema)));
}

function unwrap(schema: unknown): unknown {
  return schema instanceof z.ZodMiniPrefault ||
    schema instanceof z.ZodMiniDefault ||
    schema instanceof z.ZodMiniOptional
    ? unwrap(schema.def.innerType)
    : schema;
}

function shapeOf(schema: unknown): Record<string, unknown> {
  return schema instanceof z.ZodMiniObject ? schema.shape : {};
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
