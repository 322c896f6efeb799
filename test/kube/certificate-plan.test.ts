import { beforeAll, describe, expect, it } from '@jest/globals';
import {
  type CertificateStep,
  type PlanInput,
  planStep,
  PROPAGATION,
} from '../../src/kube/certificate-plan.ts';
import { createAuthority, issueLeaf, type PemPair } from '../../src/kube/x509.ts';

const DAY = 86_400_000;
const START = new Date('2026-11-23T08:00:00Z');
const DNS_NAMES = ['rewriter.sdr.svc'];
/** Each begins an hour earlier, so two thirds of its life are over 20 minutes before those of this are. */
const AUTHORITY_LIFETIME = 90 * DAY;
const LEAF_LIFETIME = 30 * DAY;

let old: PemPair;
let authority: PemPair;
let leaf: PemPair;
let oldLeaf: PemPair;
let otherNames: PemPair;

beforeAll(async () => {
  // Two thirds of its life are over at the start, and all of it after 20 days.
  old = await createAuthority('old', { now: later(-70 * DAY), lifetime: AUTHORITY_LIFETIME });
  authority = await createAuthority('new', { now: START, lifetime: AUTHORITY_LIFETIME });
  const validity = { now: START, lifetime: LEAF_LIFETIME };
  leaf = await issueLeaf(authority, { dnsNames: DNS_NAMES }, validity);
  oldLeaf = await issueLeaf(old, { dnsNames: DNS_NAMES }, validity);
  otherNames = await issueLeaf(authority, { dnsNames: ['other.sdr.svc'] }, validity);
});

function later(milliseconds: number): Date {
  return new Date(START.getTime() + milliseconds);
}

function bundleOf(...pairs: readonly PemPair[]): string {
  return pairs.map(({ cert }) => `${cert.trim()}\n`).join('');
}

/** All is as it should be, and has been for long. */
function settled(change: Partial<PlanInput> = {}): PlanInput {
  return {
    state: { authority, leaf },
    bundles: [bundleOf(authority)],
    dnsNames: DNS_NAMES,
    now: later(DAY),
    publishedSince: START,
    servedAuthority: authority.cert,
    ...change,
  };
}

/** The authority is new, and a leaf of the old one is served. */
function rotating(change: Partial<PlanInput> = {}): PlanInput {
  return settled({
    state: { authority, leaf: oldLeaf },
    bundles: [bundleOf(old, authority)],
    servedAuthority: old.cert,
    ...change,
  });
}

/** A sentence, what is given, and what is to be done. */
type Row = [rule: string, input: () => PlanInput, step: () => CertificateStep];

const does =
  (kind: 'create-authority' | 'wait' | 'issue-leaf' | 'done') => (): CertificateStep => ({ kind });
const publishes =
  (...bundles: readonly (() => string)[]) =>
  (): CertificateStep => ({ kind: 'publish', bundles: bundles.map((bundle) => bundle()) });

const AUTHORITIES: Row[] = [
  ['rests where everything is as it should be', () => settled(), does('done')],
  [
    'makes an authority where there is none, whatever else there is',
    () => settled({ state: { authority: undefined, leaf } }),
    does('create-authority'),
  ],
  [
    'makes an authority where the key is that of another one',
    () => settled({ state: { authority: { ...authority, key: old.key }, leaf } }),
    does('create-authority'),
  ],
  [
    'makes an authority where what is there is no certificate',
    () => settled({ state: { authority: { cert: 'rubbish', key: 'rubbish' }, leaf } }),
    does('create-authority'),
  ],
  [
    'makes an authority as soon as two thirds of the life of the old one are over',
    () => settled({ state: { authority: old, leaf: oldLeaf }, servedAuthority: old.cert }),
    does('create-authority'),
  ],
  [
    'makes none while less than two thirds of its life are over',
    () => settled({ state: { authority, leaf: undefined }, now: later(59 * DAY) }),
    does('issue-leaf'),
  ],
];

const BUNDLES: Row[] = [
  [
    'publishes a new authority beside the old one before anything is issued by it',
    () => rotating({ bundles: [bundleOf(old)], publishedSince: undefined }),
    publishes(() => bundleOf(old, authority)),
  ],
  [
    'publishes to all entries where one of them lacks it, and leaves the others as they are',
    () => settled({ bundles: [bundleOf(authority), ''] }),
    publishes(
      () => bundleOf(authority),
      () => bundleOf(authority),
    ),
  ],
  [
    'puts back the authority of what it serves as well where somebody emptied a bundle',
    () => rotating({ bundles: [''] }),
    publishes(() => bundleOf(old, authority)),
  ],
  [
    'keeps every certificate of a bundle that has not expired, whoever put it there',
    () => settled({ bundles: [bundleOf(old, authority)], now: later(19 * DAY) }),
    does('done'),
  ],
  [
    'takes an old authority out of the bundles as soon as it has expired',
    () => settled({ bundles: [bundleOf(old, authority)], now: later(20 * DAY) }),
    publishes(() => bundleOf(authority)),
  ],
  [
    'takes what is no certificate out of a bundle',
    () => settled({ bundles: [`rubbish\n${bundleOf(authority)}`] }),
    publishes(() => bundleOf(authority)),
  ],
  [
    'has nothing to publish where the webhook configuration has no entry',
    () => settled({ bundles: [] }),
    does('done'),
  ],
];

const PROPAGATIONS: Row[] = [
  [
    'waits where it serves and has only now seen the new authority in every bundle',
    () => rotating({ publishedSince: undefined }),
    does('wait'),
  ],
  [
    'waits until the last moment in which an API server may not know the new authority',
    () => rotating({ publishedSince: later(DAY - PROPAGATION + 1) }),
    does('wait'),
  ],
  [
    'issues a leaf of the new authority as soon as every API server knows it',
    () => rotating({ publishedSince: later(DAY - PROPAGATION) }),
    does('issue-leaf'),
  ],
  [
    'waits before it takes over a leaf that another replica was quicker to issue',
    () => rotating({ state: { authority, leaf }, publishedSince: undefined }),
    does('wait'),
  ],
  [
    'waits for nobody where it serves nothing yet, and issues the first leaf',
    () =>
      settled({
        state: { authority, leaf: undefined },
        publishedSince: undefined,
        servedAuthority: undefined,
      }),
    does('issue-leaf'),
  ],
  [
    'waits for nobody where it serves nothing yet, and takes the leaf that is there',
    () => settled({ publishedSince: undefined, servedAuthority: undefined }),
    does('done'),
  ],
];

const LEAVES: Row[] = [
  [
    'issues a leaf where two thirds of the life of the old one are over',
    () => settled({ now: later(20 * DAY) }),
    does('issue-leaf'),
  ],
  [
    'issues none while less than two thirds of its life are over',
    () => settled({ now: later(19 * DAY) }),
    does('done'),
  ],
  [
    'issues a leaf where the one that is there is of another authority',
    () => settled({ state: { authority, leaf: oldLeaf } }),
    does('issue-leaf'),
  ],
  [
    'issues a leaf where the one that is there has other names',
    () => settled({ state: { authority, leaf: otherNames } }),
    does('issue-leaf'),
  ],
  [
    'issues a leaf where the key of the one that is there is that of another',
    () => settled({ state: { authority, leaf: { ...leaf, key: oldLeaf.key } } }),
    does('issue-leaf'),
  ],
];

describe.each([
  ['an authority', AUTHORITIES],
  ['the bundles', BUNDLES],
  ['the time that a change takes to be known', PROPAGATIONS],
  ['a leaf', LEAVES],
])('planStep, of %s,', (_subject, rows) => {
  it.each(rows)('%s', (_rule, input, step) => {
    expect(planStep(input())).toEqual(step());
  });
});

it('planStep changes an authority in the order make, publish, wait, issue, rest', () => {
  const begin = { authority: old, leaf: oldLeaf };
  const input = rotating({ bundles: [bundleOf(old)], state: begin, publishedSince: undefined });
  const made = { ...input, state: { authority, leaf: oldLeaf } };
  const published = { ...made, bundles: [bundleOf(old, authority)] };
  const known = { ...published, publishedSince: START };
  const issued = { ...known, state: { authority, leaf } };
  const steps = [input, made, published, known, issued].map((each) => planStep(each).kind);
  expect(steps).toEqual(['create-authority', 'publish', 'wait', 'issue-leaf', 'done']);
});
