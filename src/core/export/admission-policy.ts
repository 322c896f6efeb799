import { MIRROR_POD_ANNOTATION, SKIP_LABEL } from '../exemption.ts';
import { RewriterError } from '../errors.ts';
import type { ObjectExport } from './format.ts';
import { exceptions, type LeftOut, type NameRule, readNameRules } from './rules.ts';
import type { PolicySettings } from '../policy.ts';
import { DOCKER_HUB, HUB_ALIASES, PATH_LIMIT } from '../reference.ts';

const NAME = 'sdr-image-rewriter';
const API_VERSION = 'admissionregistration.k8s.io/v1';
/** Code points of one expression; the parser of the API server refuses longer ones. */
const EXPRESSION_LIMIT = 100_000;
const DIGESTS_STAY = 'the policy leaves images with a digest as they are written';

const MATCH_CONSTRAINTS = {
  matchPolicy: 'Equivalent',
  resourceRules: [
    {
      apiGroups: [''],
      apiVersions: ['v1'],
      operations: ['CREATE', 'UPDATE'],
      resources: ['pods', 'pods/ephemeralcontainers'],
      scope: 'Namespaced',
    },
  ],
};

const MATCH_CONDITIONS = [
  {
    name: 'no-mirror-pod',
    expression: `!has(object.metadata.annotations) || !('${MIRROR_POD_ANNOTATION}' in object.metadata.annotations)`,
  },
  {
    name: 'no-skip-label',
    expression: [
      '!has(object.metadata.labels) ||',
      `!('${SKIP_LABEL}' in object.metadata.labels) ||`,
      `object.metadata.labels['${SKIP_LABEL}'] != 'true'`,
    ].join('\n'),
  },
];

const BINDING = {
  apiVersion: API_VERSION,
  kind: 'MutatingAdmissionPolicyBinding',
  metadata: { name: NAME },
  spec: {
    policyName: NAME,
    matchResources: {
      namespaceSelector: {
        matchExpressions: [
          {
            key: 'kubernetes.io/metadata.name',
            operator: 'NotIn',
            values: ['kube-system', 'kube-node-lease'],
          },
          { key: `${NAME}.io/mode`, operator: 'In', values: ['enforce'] },
        ],
      },
    },
  },
};

/**
 * A MutatingAdmissionPolicy with its binding, for Kubernetes 1.36 and later: what the webhook does with
 * images, done by the API server. Rules of the map for single images cannot be said. Throws
 * `EXPORT_TOO_LARGE` where the API server would refuse the policy.
 */
export function exportAdmissionPolicy(settings: PolicySettings): ObjectExport {
  const names = readNameRules(settings, DIGESTS_STAY);
  const repositories = exceptions(names);
  if (![...names.prefixes, ...repositories].some(({ target }) => target !== undefined)) {
    return { objects: [], leftOut: [...names.leftOut, ...unsaidSecrets(settings)] };
  }
  const prefixes = names.prefixes.toSorted((a, b) => b.source.length - a.source.length);
  const rules = ruleVariables(prefixes, repositories);
  const size = Math.max(...rules.map(({ expression }) => expression.length));
  if (size > EXPRESSION_LIMIT) {
    const message = `the rules make an expression of ${size} characters, and the API server takes ${EXPRESSION_LIMIT}; use fewer \`repositories\` entries, or the webhook`;
    throw new RewriterError('EXPORT_TOO_LARGE', message);
  }
  const policy = {
    apiVersion: API_VERSION,
    kind: 'MutatingAdmissionPolicy',
    metadata: { name: NAME },
    spec: {
      // A fault must not stand in the way of pods; the webhook has the same default.
      failurePolicy: 'Ignore',
      reinvocationPolicy: 'IfNeeded',
      matchConstraints: MATCH_CONSTRAINTS,
      matchConditions: MATCH_CONDITIONS,
      variables: [
        ...rules,
        ...IMAGES,
        ...referenceVariables(names.hasDigestRules),
        ...decisionVariables(repositories.length > 0),
      ],
      mutations: [
        { patchType: 'JSONPatch', jsonPatch: { expression: patch(settings.imagePullSecrets) } },
      ],
    },
  };
  return { objects: [policy, BINDING], leftOut: names.leftOut };
}

/** The webhook appends pull secrets to pods whose images stay; the policy only where it moves one. */
function unsaidSecrets({ procurement, imagePullSecrets }: PolicySettings): LeftOut[] {
  if (procurement !== 'public' || imagePullSecrets.length === 0) {
    return [];
  }
  const reason = 'the policy appends pull secrets only where it moves an image';
  return [{ rule: `imagePullSecrets: ${imagePullSecrets.join(', ')}`, path: undefined, reason }];
}

interface Variable {
  readonly name: string;
  /** CEL: https://kubernetes.io/docs/reference/using-api/cel/ */
  readonly expression: string;
}

/**
 * The rules as CEL has them. An empty target stands for an image that stays; the last prefix fits all
 * names. CEL cannot type an empty map, so without repositories there is none.
 */
function ruleVariables(
  prefixes: readonly NameRule[],
  repositories: readonly NameRule[],
): Variable[] {
  const list = [...prefixes, { source: '', target: '' }];
  const pairs = list.map(({ source, target }) => `  ['${source}', '${target ?? ''}']`);
  const keys = repositories.map(({ source, target }) => `  '${source}': '${target ?? ''}'`);
  const variables = [{ name: 'prefixes', expression: `[\n${pairs.join(',\n')}\n]` }];
  return keys.length === 0
    ? variables
    : [{ name: 'repositories', expression: `{\n${keys.join(',\n')}\n}` }, ...variables];
}

const CONTAINER_FIELDS = ['containers', 'initContainers', 'ephemeralContainers'] as const;

/** Lists that run side by side: the images of the pod that may be looked at, and where they stand. */
const IMAGES: readonly Variable[] = [
  {
    name: 'images',
    // A container restarts when its image changes, so on an UPDATE only what is new is looked at.
    expression: [
      ...CONTAINER_FIELDS.map((field) =>
        [
          `(has(object.spec.${field}) ? object.spec.${field} : []).map(c,`,
          `  !has(c.image) || (request.operation == 'UPDATE' && has(oldObject.spec.${field}) &&`,
          `  oldObject.spec.${field}.exists(o, o.name == c.name && has(o.image) && o.image == c.image)) ? '' : c.image)`,
        ].join('\n'),
      ),
      [
        '(has(object.spec.volumes) ? object.spec.volumes : []).map(v,',
        "  request.operation == 'CREATE' && has(v.image) && has(v.image.reference) ? v.image.reference : '')",
      ].join('\n'),
    ].join(' +\n'),
  },
  {
    name: 'paths',
    expression: [
      ...CONTAINER_FIELDS.map((field) => pathsOf(field, 'image')),
      pathsOf('volumes', 'image/reference'),
    ].join(' +\n'),
  },
];

function pathsOf(field: string, key: string): string {
  return `lists.range(has(object.spec.${field}) ? object.spec.${field}.size() : 0).map(i, '/spec/${field}/' + string(i) + '/${key}')`;
}

const PATH = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const TAG = '(?::[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127})?';
const DIGEST = '(?:@(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}))?';

/** Reads references as src/core/reference.ts does; what does not parse has the empty name. */
function referenceVariables(leavesDigests: boolean): Variable[] {
  const aliases = [...HUB_ALIASES].map((alias) => `'${alias}'`).join(', ');
  const hub = DOCKER_HUB.length + 1;
  return [
    {
      name: 'written',
      expression: "variables.images.map(i, i.find('^(?:[^/@]*/)*[^/:@]*'))",
    },
    {
      name: 'suffixes',
      expression:
        'lists.range(variables.images.size()).map(i, variables.images[i].substring(variables.written[i].size()))',
    },
    {
      name: 'names',
      expression: [
        'variables.written',
        ".map(n, n.contains('/') && (n.split('/')[0].contains('.') || n.split('/')[0].contains(':') ||",
        "  n.split('/')[0] == 'localhost' || n.split('/')[0].lowerAscii() != n.split('/')[0])",
        `  ? n : '${DOCKER_HUB}/' + n)`,
        `.map(n, n.split('/')[0] in [${aliases}] ? '${DOCKER_HUB}' + n.substring(n.indexOf('/')) : n)`,
        `.map(n, n.startsWith('${DOCKER_HUB}/') && !n.substring(${hub}).contains('/') ? '${DOCKER_HUB}/library/' + n.substring(${hub}) : n)`,
      ].join('\n'),
    },
    {
      name: 'sound',
      expression: [
        'lists.range(variables.images.size()).map(i,',
        `  variables.names[i].matches('^[^/]+/${PATH}(?:/${PATH})*$') &&`,
        `  variables.names[i].size() - variables.names[i].indexOf('/') - 1 <= ${PATH_LIMIT} &&`,
        `  variables.suffixes[i].matches('^${TAG}${leavesDigests ? '' : DIGEST}$') &&`,
        "  !variables.images[i].matches('^[a-f0-9]{64}$'))",
      ].join('\n'),
    },
  ];
}

/** The rule for each image as [source, target], and the image that it makes; empty where it stays. */
function decisionVariables(hasRepositories: boolean): Variable[] {
  const exact = [
    '  variables.names[i] in variables.repositories',
    '  ? [variables.names[i], variables.repositories[variables.names[i]]] :',
  ];
  return [
    {
      name: 'rules',
      expression: [
        'lists.range(variables.images.size()).map(i,',
        "  !variables.sound[i] ? ['', ''] :",
        ...(hasRepositories ? exact : []),
        "  variables.prefixes.filter(p, p[0] == '' ||",
        "    variables.names[i] == p[0] || variables.names[i].startsWith(p[0] + '/'))[0])",
      ].join('\n'),
    },
    {
      name: 'moved',
      expression: [
        "lists.range(variables.images.size()).map(i, variables.rules[i][1] == '' ? '' :",
        '  variables.rules[i][1] + variables.names[i].substring(variables.rules[i][0].size()))',
      ].join('\n'),
    },
    {
      name: 'targets',
      expression: [
        'lists.range(variables.images.size()).map(i,',
        `  variables.moved[i] == '' || variables.moved[i].size() - variables.moved[i].indexOf('/') - 1 > ${PATH_LIMIT}`,
        "  ? '' : variables.moved[i] + variables.suffixes[i])",
      ].join('\n'),
    },
  ];
}

function patch(pullSecrets: readonly string[]): string {
  const images = [
    'lists.range(variables.targets.size())',
    ".filter(i, variables.targets[i] != '')",
    ".map(i, JSONPatch{op: 'replace', path: variables.paths[i], value: variables.targets[i]})",
  ].join('\n');
  if (pullSecrets.length === 0) {
    return images;
  }
  const names = JSON.stringify([...new Set(pullSecrets)]);
  return [
    `${images} +`,
    "(request.operation != 'CREATE' || !variables.targets.exists(t, t != '') ? [] :",
    '  has(object.spec.imagePullSecrets)',
    `  ? ${names}.filter(s, !object.spec.imagePullSecrets.exists(e, has(e.name) && e.name == s))`,
    "    .map(s, JSONPatch{op: 'add', path: '/spec/imagePullSecrets/-', value: {'name': s}})",
    `  : [JSONPatch{op: 'add', path: '/spec/imagePullSecrets', value: ${names}.map(s, {'name': s})}])`,
  ].join('\n');
}
