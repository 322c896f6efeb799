import * as z from 'zod/mini';
import { PROCUREMENTS } from '../core/decider.ts';
import { isInvalid, quote } from '../core/errors.ts';
import { UNMAPPED_ACTIONS } from '../core/policy.ts';
import { parsePrefix, parseTargetPrefix, type Prefix } from '../core/prefix-rules.ts';
import { isMapUrl, MAP_URL_FORMS } from './map-url.ts';

export const CONFIG_API_VERSION = 'sdr-image-rewriter/v1';
const DEFAULT_SOURCES = ['docker.io/atlanhq', 'ghcr.io/atlanhq', 'registry.atlan.com'];
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

const MILLISECONDS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const DURATION_FORM = 'write a number and ms, s, m or h, such as 60s';
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;

/** What the JSON Schema and the documentation say of a setting. */
function setting<Schema extends z.ZodMiniType>(meaning: string, schema: Schema): Schema {
  return schema.check(z.describe(meaning));
}

function duration(least: string, most: string, otherwise: string) {
  const text = z.string(DURATION_FORM).check(z.regex(DURATION, DURATION_FORM));
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

const nonEmptyText = z.string().check(z.minLength(1, 'write at least one character'));

/** No path has a NUL character, and Node.js throws where it meets one. */
const optionalFile = optionalText.check(
  z.refine((text) => !text.includes('\0'), 'must be the path of a file'),
);

const mapUrl = optionalText.check(
  z.refine((text) => text === '' || isMapUrl(text), `write ${MAP_URL_FORMS}`),
);

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

export const configSchema = z.strictObject({
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

/** JSON Schema (draft 2020-12) of the configuration file. */
export function configJsonSchema(): object {
  return {
    title: 'sdr-image-rewriter configuration',
    ...z.toJSONSchema(configSchema, { io: 'input' }),
  };
}

/** The keys that the schema knows at a path. */
export function keysAt(path: readonly PropertyKey[]): string[] {
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
