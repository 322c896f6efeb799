/**
 * Every error code of the program: what it means and what to do about it. `docs/errors.md` is
 * generated from this table, so a code that is not here does not exist.
 */
export const ERROR_CODES = {
  REFERENCE_EMPTY: {
    meaning: 'An image reference is the empty string.',
    remedy: 'Write the image, for example `docker.io/atlanhq/atlan-mysql-app:0.4.25`.',
  },
  REFERENCE_INVALID: {
    meaning: 'An image reference does not follow the OCI/Docker reference grammar.',
    remedy: 'Correct the part that the message quotes.',
  },
  REFERENCE_UPPERCASE: {
    meaning: 'The repository path of a reference has an upper-case letter.',
    remedy: 'Write the repository in lower case; only registry hosts and tags may have capitals.',
  },
  REFERENCE_TOO_LONG: {
    meaning: 'The repository path is over 255 characters, or the whole reference over 4096.',
    remedy: 'Use a shorter repository name.',
  },
  REFERENCE_TAG_INVALID: {
    meaning:
      'A tag is empty, over 128 characters, or has a character other than letters, digits, `_`, `.` and `-`.',
    remedy: 'Correct the tag, or leave it away together with its colon.',
  },
  REFERENCE_DIGEST_INVALID: {
    meaning:
      'A digest does not have the length or the lower-case hexadecimal form that its algorithm needs.',
    remedy: 'Copy the digest again; `sha256:` is followed by exactly 64 lower-case hex digits.',
  },
  REFERENCE_DIGEST_UNSUPPORTED: {
    meaning: 'A digest uses an algorithm other than sha256, sha384 and sha512.',
    remedy: 'Use the sha256 digest that the registry reports.',
  },
  REFERENCE_IS_HEX: {
    meaning: 'A reference is 64 hexadecimal digits, which container tools take for an image ID.',
    remedy: 'Write the repository, and the digits as `@sha256:…` behind it.',
  },
  PREFIX_INVALID: {
    meaning: 'A prefix is not `registry` or `registry/path`.',
    remedy:
      'Write it without a scheme, a tag or a digest, for example `registry.corp.example/atlan`.',
  },
  PREFIX_REGISTRY_MISSING: {
    meaning: 'A target prefix does not begin with a registry host.',
    remedy: 'Begin with the host, for example `docker.io/team` in place of `team`.',
  },
  MAP_NOT_JSON: {
    meaning: 'The image map is not one JSON document.',
    remedy:
      'Correct the text at the place that the message names; nothing may follow the document.',
  },
  MAP_TOO_LARGE: {
    meaning:
      'The image map is over `imageMap.maxBytes`, has over 200,000 entries, or over 30 lists and objects inside of one another.',
    remedy:
      'Remove entries that nothing uses, use repository or prefix entries, or raise `maxBytes`.',
  },
  MAP_STRING_TOO_LONG: {
    meaning: 'A string of the image map is over 4 KiB.',
    remedy: 'Shorten it; no valid reference is that long.',
  },
  MAP_VERSION_UNKNOWN: {
    meaning: 'The `apiVersion` of the image map is missing or not `sdr-image-map/v1`.',
    remedy: 'Write `"apiVersion": "sdr-image-map/v1"`, or upgrade this program.',
  },
  MAP_SHAPE_INVALID: {
    meaning: 'A value of the image map has the wrong type or is missing.',
    remedy: 'Give the value that the message asks for.',
  },
  MAP_KEY_DUPLICATE: {
    meaning:
      'A JSON object of the image map has the same key twice; JSON readers silently drop one.',
    remedy: 'Remove one of the two.',
  },
  MAP_REFERENCE_INVALID: {
    meaning: 'A source, alias, digest or target of the image map does not parse.',
    remedy: 'Correct the reference that the message quotes.',
  },
  MAP_SOURCE_CONFLICT: {
    meaning:
      'Two sources that normalise to one have different targets or different source digests.',
    remedy: 'Keep one of the two.',
  },
  MAP_TARGET_IS_SOURCE: {
    meaning: 'A target would be rewritten again by the same map (a chain or a cycle).',
    remedy: 'Let every source point straight at its final target.',
  },
  MAP_TARGET_FORBIDDEN: {
    meaning: 'A target of the image map lies outside `allowedTargets`.',
    remedy: 'Correct the target, or add its prefix to `allowedTargets` of the configuration.',
  },
  MAP_SERIAL_LOWER: {
    meaning:
      'The image map has a lower serial than the one in use, or none where that one has one.',
    remedy:
      'Publish with a higher serial, or set `imageMap.allowRollback: true` to go back on purpose.',
  },
  MAP_SHRINKS: {
    meaning: 'The image map loses more than `imageMap.maxShrink` of the entries in use.',
    remedy: 'Check that the publisher wrote all entries; raise `maxShrink` if the loss is meant.',
  },
  MAP_UNREADABLE: {
    meaning: 'The image map could not be read from its source.',
    remedy: 'Check that the location exists and that the process may read it.',
  },
  MAP_NOT_FOUND: {
    meaning: 'There is no map at its location.',
    remedy: 'Publish one, or correct `imageMap.url`.',
  },
  MAP_ACCESS_DENIED: {
    meaning: 'The store refused to give the map, or to take it.',
    remedy:
      'Grant `s3:GetObject`, to publish `s3:PutObject`, and use of its KMS key; without `s3:ListBucket` a missing object looks the same. For https:// check the token.',
  },
  MAP_CREDENTIALS_REFUSED: {
    meaning: 'There are no credentials for the store, or they are wrong or expired.',
    remedy:
      'Check IRSA, EKS Pod Identity or the AWS variables, and the trust policy of the role; a left-over static variable wins.',
  },
  MAP_CLOCK_SKEWED: {
    meaning: 'The store refused the request because the clock of the node is wrong.',
    remedy: 'Check the time service of the node.',
  },
  MAP_REGION_WRONG: {
    meaning: 'The bucket is in another region, or no region is known.',
    remedy: 'Set `imageMap.s3.region`.',
  },
  MAP_UNREACHABLE: {
    meaning:
      'The store cannot be reached: no address, no connection, a proxy that refuses one, or it broke.',
    remedy: 'Check the endpoint, the DNS of the pod, network policies and proxy variables.',
  },
  MAP_TLS_FAILED: {
    meaning: 'The certificate of the store was not accepted.',
    remedy: 'Set `imageMap.s3.caFile` to the CA of the store.',
  },
  MAP_TIMEOUT: {
    meaning: 'A read took longer than `imageMap.timeout`, body included.',
    remedy: 'Check the network and the store, or raise the timeout.',
  },
  MAP_CUT_SHORT: {
    meaning: 'The store sent more or fewer bytes than it announced.',
    remedy: 'Nothing, if it passes; else check proxies between here and the store.',
  },
  MAP_SOURCE_FAILED: {
    meaning: 'The store answered with an error of its own, or with something that is no answer.',
    remedy: 'Nothing, if it passes; else see the status page of the store.',
  },
  MAP_ENCODED: {
    meaning: 'The map is stored compressed.',
    remedy: 'Store it as plain JSON.',
  },
  MAP_REDIRECTED: {
    meaning: 'The web server redirects to another host, or again and again.',
    remedy: 'Name the final host in `imageMap.url` if you trust it.',
  },
  MAP_HEADERS_INVALID: {
    meaning: '`imageMap.headersFile` cannot be read or is no JSON object of strings.',
    remedy: 'Correct the Secret that it is mounted from.',
  },
  MAP_SIGNATURE_INVALID: {
    meaning: 'With `imageMap.publicKeyFile` set, the map has no signature, or none that fits.',
    remedy: 'Publish with `map publish --sign-key`, or sign it with `map sign`.',
  },
  MAP_CACHE_UNREADABLE: {
    meaning:
      '`imageMap.cacheFile` is no file, cannot be read within 10 s, is damaged or was cut short.',
    remedy:
      'Nothing, if it passes, since the next map takes its place; else check the volume that it is on.',
  },
  MAP_CACHE_ELSEWHERE: {
    meaning: '`imageMap.cacheFile` holds the map of another place.',
    remedy: 'Nothing after a change of `imageMap.url`; else give each process a file of its own.',
  },
  SIGNATURE_KEY_UNREADABLE: {
    meaning: 'The file of a key for signing or verifying could not be read.',
    remedy:
      'Check the path given with `--key`, `--sign-key` or `imageMap.publicKeyFile`, and its permissions.',
  },
  SIGNATURE_KEY_INVALID: {
    meaning:
      'A key for signing or verifying is not an Ed25519 key in PEM, is encrypted, or is the other half of its pair.',
    remedy:
      'Make one with `openssl genpkey -algorithm ed25519`, and its public half with `openssl pkey -in KEY -pubout`.',
  },
  MAP_SERIAL_UNKNOWN: {
    meaning:
      'What is published is cut short or no map at all, so the serial from which to go on is not known.',
    remedy:
      'Give the map a `serial` above the one that replicas have in use: `sdr_image_rewriter_map_serial`, or `/status`. They refuse a lower one.',
  },
  MAP_RACE_LOST: {
    meaning: 'Somebody else published between reading the map and writing it; nothing was lost.',
    remedy: 'Run the command again, or with `--retry`.',
  },
  MAP_LOSES_ENTRIES: {
    meaning: 'The map to publish lacks sources that the published one has.',
    remedy: 'Add them, or say `--allow-shrink` if nothing uses them any more.',
  },
  MAP_REQUIRED_MISSING: {
    meaning:
      'The map has no rule for an image that `--require` of `map lint` or `map verify` names.',
    remedy: 'Add an entry for it, or one for its repository.',
  },
  TARGET_MISSING: {
    meaning:
      'The registry does not have a target of the map, a part of it, or a tag in its repository.',
    remedy: 'Copy the image, or correct the target; some registries hide what you may not read.',
  },
  TARGET_TAG_MOVED: {
    meaning:
      'A target has a tag and a digest, and its registry has the digest, but not under that tag.',
    remedy:
      'Pods pull the digest. Write the tag that it has, or keep it from being deleted as untagged.',
  },
  TARGET_PLATFORM_MISSING: {
    meaning:
      'The registry has no image of a target for a platform that its entry or `--platform` names.',
    remedy: 'Copy all platforms of the image, or correct `platforms` of the entry.',
  },
  TARGET_ACCESS_DENIED: {
    meaning:
      'A registry does not let the caller of `map verify` read a target; many say the same of a repository that they do not have.',
    remedy:
      'Copy the image, or log in with `docker login` or `podman login`, or give `--auth-file`.',
  },
  TARGET_REGISTRY_FAILED: {
    meaning: 'A registry gave no answer to go on with.',
    remedy:
      'Check its name, the network and proxy variables; `--ca-file` for a CA of your own, `--plain-http` where it has no TLS.',
  },
  TARGET_CREDENTIALS_INVALID: {
    meaning:
      'A file of registry credentials cannot be used, or a credential helper that it names failed.',
    remedy: 'Give another with `--auth-file`, or correct it with `docker login` or `podman login`.',
  },
  MAP_SIGNATURE_REQUIRED: {
    meaning: 'The published map is signed, and the one to publish would not be.',
    remedy: 'Give `--sign-key`; readers that verify would refuse the map without a signature.',
  },
  MAP_IMPORT_INVALID: {
    meaning: 'A line or entry to import does not say what becomes what.',
    remedy: 'Correct the place that the message names.',
  },
  MAP_NOT_LOADED: {
    meaning: 'A review arrived in map mode before any image map was loaded (HTTP 503).',
    remedy: 'See `/status` for the last error of the map source.',
  },
  CONFIG_UNREADABLE: {
    meaning: 'The configuration file could not be read.',
    remedy: 'Check the path given with `--config` and its permissions.',
  },
  CONFIG_NOT_TEXT: {
    meaning: 'The configuration is not UTF-8 text: a binary file, or text in another encoding.',
    remedy: 'Save it as UTF-8.',
  },
  CONFIG_NOT_YAML: {
    meaning:
      'The configuration is not one YAML document: a fault of syntax, a key that stands twice, an alias without its anchor, aliases that stand for too many values, or lists too deep.',
    remedy: 'Correct the line and column that the message names.',
  },
  CONFIG_KEY_UNKNOWN: {
    meaning: 'The configuration has a key that does not exist.',
    remedy: 'Correct its spelling; the message lists the keys that are allowed there.',
  },
  CONFIG_VALUE_INVALID: {
    meaning: 'A value of the configuration has the wrong type or is out of range.',
    remedy: 'Give a value as the message says.',
  },
  CONFIG_INCOMPLETE: {
    meaning: 'The configuration lacks a value that the chosen procurement or feature needs.',
    remedy: 'Add the key that the message names.',
  },
  CONFIG_TARGET_FORBIDDEN: {
    meaning: 'A target of the configuration lies outside its own `allowedTargets`.',
    remedy: 'Correct the target, or add its prefix to `allowedTargets`.',
  },
  MANIFEST_NOT_TEXT: {
    meaning: 'A file to rewrite is not UTF-8 text: a binary file, or text in another encoding.',
    remedy: 'Name YAML and JSON files only, saved as UTF-8.',
  },
  MANIFEST_NOT_YAML: {
    meaning:
      'A document of a file cannot be read: a fault of syntax, a key that stands twice, an alias without its anchor, a merge key that readers resolve in several ways, a template where an image should be, or more than 32 MiB.',
    remedy:
      'Correct the line and column that the message names; render a Helm template before it is rewritten. Nothing was written.',
  },
  MANIFEST_UNMAPPED: {
    meaning: 'A file names images that no rule covers, and the policy says `unmapped: deny`.',
    remedy: 'Add a rule for each image that the message names; the webhook would deny its pod.',
  },
  MANIFEST_WRITE_FAILED: {
    meaning:
      'A file could not be replaced by the rewritten one, somebody changed it meanwhile, or a signal came. None is changed, or the message names those that are.',
    remedy:
      'Check the permissions of the folder and the space on the disk; mount the folder and not the file alone.',
  },
  EXPORT_INCOMPLETE: {
    meaning:
      'The format of an export cannot say all of the rules, or files of an earlier export are left over; the lines before name them.',
    remedy: 'Change those rules and remove those files, or take the export as it is: `--partial`.',
  },
  EXPORT_TOO_LARGE: {
    meaning: 'A MutatingAdmissionPolicy of these rules would be refused by the API server.',
    remedy: 'Use prefixes in place of many repositories, or leave the rules to the webhook.',
  },
  REVIEW_NOT_JSON: {
    meaning: 'The request body is not JSON (HTTP 400).',
    remedy: 'Send the AdmissionReview as JSON in UTF-8.',
  },
  REVIEW_INVALID: {
    meaning:
      'The request body is not an `admission.k8s.io/v1` AdmissionReview with a request (HTTP 400); or `replay --preview` met an object that is nested too deeply.',
    remedy:
      'Set `admissionReviewVersions: ["v1"]` in the webhook configuration; call `replay` without `--preview`.',
  },
  REVIEW_TOO_LARGE: {
    meaning: 'The request body is over 7 MiB (HTTP 413).',
    remedy: 'The API server never sends one; check who calls.',
  },
  SERVER_BUSY: {
    meaning:
      'The bodies of requests that arrive at one time are over 64 MiB together (HTTP 503 with `Retry-After`).',
    remedy: 'Nothing, if it passes, since the API server asks again; else check who calls.',
  },
  REVIEW_MEDIA_TYPE: {
    meaning:
      'The request has a content type other than `application/json`, or a content encoding (HTTP 415).',
    remedy: 'Send `content-type: application/json`, and the review uncompressed.',
  },
  ROUTE_UNKNOWN: {
    meaning: 'The path or method is not served (HTTP 404).',
    remedy:
      'Call `POST /mutate` or `POST /audit`; probes, metrics and status are on the operations port.',
  },
  CLIENT_UNAUTHORIZED: {
    meaning: 'The caller showed no acceptable client certificate (HTTP 403).',
    remedy:
      'Configure the API server with a certificate signed by `server.tls.clientCAFile` and named in `clientSubjects`.',
  },
  LISTEN_FAILED: {
    meaning: 'A port could not be opened.',
    remedy: 'Check `server` and `ops` of the configuration, and what else uses the port.',
  },
  TLS_UNREADABLE: {
    meaning: 'A certificate or key file could not be read.',
    remedy: 'Check the paths under `server.tls` and their permissions.',
  },
  TLS_CLIENT_CA_INVALID: {
    meaning: '`server.tls.clientCAFile` holds no certificate, or something that does not parse.',
    remedy: 'Write the certificates of the authorities in PEM; the ones in use stay until then.',
  },
  TLS_PAIR_INVALID: {
    meaning:
      'The certificate does not parse, the key does not parse, or they do not belong together.',
    remedy: 'Replace both files together; the pair in use stays until then.',
  },
  TLS_EXPIRED: {
    meaning: 'The certificate in the files has expired, and the one in use has not.',
    remedy: 'Renew the pair, or check the clock of the node; the pair in use stays until then.',
  },
  CLUSTER_FAILED: {
    meaning: 'The Kubernetes API refused or did not answer a call that keeps the certificate up.',
    remedy: 'Check the Role and ClusterRole of the release; what is served stays served.',
  },
  KUBECONFIG_INVALID: {
    meaning:
      'There is no kubeconfig, it cannot be read, or it lacks the context that is asked for.',
    remedy: 'Give `--kubeconfig` and `--context`, or set KUBECONFIG as for kubectl.',
  },
  CLUSTER_UNAUTHORIZED: {
    meaning: 'The API server does not know the caller, or the credentials cannot be had.',
    remedy: 'Log in again; the same context must work with kubectl.',
  },
  CLUSTER_FORBIDDEN: {
    meaning: 'The caller may list neither pods nor anything that makes them.',
    remedy: 'Grant the ClusterRole of `docs/coverage.md`, or read single namespaces with `-n`.',
  },
  CLUSTER_UNREACHABLE: {
    meaning: 'The API server did not answer, or its certificate was not accepted.',
    remedy: 'Check the server and the CA of the context, VPN and proxy variables.',
  },
  CLUSTER_READ_FAILED: {
    meaning: 'The API server answered with an error, or with something that is no answer.',
    remedy: 'Try again; else see what kubectl says to the same request.',
  },
  INTERNAL: {
    meaning:
      'A fault of this program: HTTP 500 for a review, so `failurePolicy` decides about the pod; exit code 1 of a command.',
    remedy:
      'Please report it with the log line, or with what the command says with `NODE_OPTIONS=--enable-source-maps`.',
  },
  USAGE: {
    meaning:
      'A command was called with wrong arguments, its input cannot be read, or its result cannot be written (exit code 2).',
    remedy: 'See `--help` of the command.',
  },
} as const satisfies Record<string, { meaning: string; remedy: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** One thing that is wrong with a document, and where: `path` is a JSONPath such as `$.images[3].target`. */
export interface Fault {
  readonly code: ErrorCode;
  readonly path: string;
  readonly message: string;
}

/** The one error class of the program. `faults` holds every single fault where a document has several. */
export class RewriterError extends Error {
  override readonly name = 'RewriterError';
  readonly code: ErrorCode;
  readonly faults: readonly Fault[];

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; faults?: readonly Fault[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.faults = options.faults ?? [];
  }
}

/** What a parser returns in place of a value: it never throws, since bad text is an everyday input. */
export interface Invalid {
  readonly invalid: ErrorCode;
  readonly message: string;
}

export function isInvalid(parsed: object): parsed is Invalid {
  return 'invalid' in parsed;
}

const QUOTED_LENGTH = 80;

/** Quotes a value for a message; long ones are cut, control characters escaped. */
export function quote(value: string): string {
  const shown = value.length > QUOTED_LENGTH ? `${value.slice(0, QUOTED_LENGTH)}…` : value;
  return JSON.stringify(shown);
}
