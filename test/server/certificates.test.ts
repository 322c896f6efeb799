import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { parseConfig } from '../../src/config/config.ts';
import type { Config } from '../../src/config/schema.ts';
import type { Clock } from '../../src/clock.ts';
import {
  type CertificateSource,
  fileCertificates,
  selfManagedCertificates,
} from '../../src/server/certificates.ts';
import type { EventLog } from '../../src/log.ts';
import type { ServingCertificate } from '../../src/server/tls.ts';
import { createAuthority, type Issued } from '../support/certificates.ts';
import { recordLog } from '../support/events.ts';
import { FakeCluster } from '../support/fake-cluster.ts';
import type { LogLine } from '../support/program.ts';
import { Workspace } from '../support/workspace.ts';

const HOUR = 3_600_000;
const FILE = 'client-ca.crt';
const SILENT = {
  write: () => undefined,
  setLevel: () => undefined,
  flush: () => Promise.resolve(true),
};

let source: CertificateSource | undefined;

/** A clock that stands still, and tells of each pause that is asked for. */
class PauseClock implements Clock {
  time = Date.now();
  #timer: { readonly pause: number; readonly run: () => void } | undefined;
  #wake: (() => void) | undefined;

  now(): number {
    return this.time;
  }

  after(pause: number, run: () => void): () => void {
    this.#timer = { pause, run };
    this.#wake?.();
    return () => {
      this.#timer = undefined;
    };
  }

  /** Resolves with the length of the next pause, after which it can be let pass. */
  async pause(): Promise<{ readonly pause: number; readonly run: () => void }> {
    while (this.#timer === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const timer = this.#timer;
    this.#timer = undefined;
    return timer;
  }
}

interface Files {
  readonly clock: PauseClock;
  readonly lines: readonly LogLine[];
  /** Resolves when a line is logged next. */
  readonly refusal: () => Promise<void>;
  readonly certificates: CertificateSource;
  /** Resolves with the next certificate that the source calls back with. */
  readonly next: () => Promise<ServingCertificate>;
  readonly watch: () => void;
}

/** Certificates in the files `tls.crt` and `tls.key` of a folder. */
function openFiles(workspace: Workspace): Files {
  const { log: recorder, lines } = recordLog();
  let refuse: (() => void) | undefined;
  const log: EventLog = {
    ...recorder,
    write(...line) {
      recorder.write(...line);
      refuse?.();
    },
  };
  const clock = new PauseClock();
  const tls: Config['server']['tls'] = {
    certFile: workspace.path('tls.crt'),
    keyFile: workspace.path('tls.key'),
    minVersion: 'TLSv1.2',
    clientCAFile: '',
    clientSubjects: [],
  };
  const certificates = fileCertificates(tls, log, clock);
  source = certificates;
  let waiting: ((certificate: ServingCertificate) => void) | undefined;
  return {
    clock,
    lines,
    refusal: () =>
      new Promise((resolve) => {
        refuse = resolve;
      }),
    certificates,
    next: () =>
      new Promise((resolve) => {
        waiting = resolve;
      }),
    watch: () => certificates.watch((certificate) => waiting?.(certificate)),
  };
}

async function writePair(workspace: Workspace, { cert, key }: Issued): Promise<void> {
  await workspace.write('tls.crt', cert);
  await workspace.write('tls.key', key);
}

afterEach(() => source?.stop());

function open(workspace: Workspace): CertificateSource {
  const selfManaged = { namespace: 'n', secret: 's', webhookConfiguration: 'w', dnsNames: ['a'] };
  const config = parseConfig(
    JSON.stringify({
      apiVersion: 'sdr-image-rewriter/v1',
      procurement: 'public',
      server: { tls: { clientCAFile: workspace.path(FILE), selfManaged } },
    }),
  );
  if ('faults' in config) throw new Error(JSON.stringify(config.faults));
  const cluster = new FakeCluster();
  source = selfManagedCertificates(config.server.tls, SILENT, () =>
    Promise.resolve(cluster.connect()),
  );
  return source;
}

describe('a certificate in files', () => {
  it('is served as it is by the time that the files are watched', async () => {
    await using workspace = await Workspace.create();
    const authority = await createAuthority();
    await writePair(workspace, await authority.issue('old'));
    const { certificates, next, watch } = openFiles(workspace);
    await certificates.first();
    const renewed = await authority.issue('renewed');
    await writePair(workspace, renewed);
    const served = next();
    watch();
    expect((await served).context.cert).toBe(renewed.cert);
  });

  it('stays in use where the next one has expired, until that is renewed', async () => {
    await using workspace = await Workspace.create();
    const authority = await createAuthority();
    await writePair(workspace, await authority.issue('in use'));
    const { lines, refusal, certificates, next, watch } = openFiles(workspace);
    await certificates.first();
    await writePair(workspace, await authority.issue('expired', [], -HOUR));
    const [refused, served] = [refusal(), next()];
    watch();
    await refused;
    expect(lines).toMatchObject([{ event: 'tls.rejected', code: 'TLS_EXPIRED' }]);
    const renewed = await authority.issue('renewed');
    await writePair(workspace, renewed);
    expect((await served).context.cert).toBe(renewed.cert);
  });

  it('is served from the start where it has expired already, and replaced by one that has as well', async () => {
    await using workspace = await Workspace.create();
    const authority = await createAuthority();
    await writePair(workspace, await authority.issue('expired', [], -2 * HOUR));
    const { certificates, next, watch } = openFiles(workspace);
    await certificates.first();
    const other = await authority.issue('expired as well', [], -HOUR);
    await writePair(workspace, other);
    const served = next();
    watch();
    expect((await served).context.cert).toBe(other.cert);
  });

  it('is read again after pauses that grow, and told of once, while a file cannot be read', async () => {
    await using workspace = await Workspace.create();
    const authority = await createAuthority();
    const [old, renewed] = [await authority.issue('old'), await authority.issue('renewed')];
    await writePair(workspace, old);
    const { clock, lines, certificates, next, watch } = openFiles(workspace);
    const { fingerprint } = await certificates.first();
    await rm(workspace.path('tls.key'));
    // From then on nothing changes that the watch could tell of.
    watch();
    const first = await clock.pause();
    first.run();
    const second = await clock.pause();
    expect([first.pause, second.pause]).toEqual([2000, 4000]);
    expect(lines).toMatchObject([{ event: 'tls.rejected', code: 'TLS_UNREADABLE' }]);
    await writePair(workspace, renewed);
    const served = next();
    second.run();
    expect((await served).fingerprint).not.toBe(fingerprint);
  });
});

describe('a self-managed certificate', () => {
  it('is served with the authority for clients as it is by the time that its file is watched', async () => {
    await using workspace = await Workspace.create();
    const [old, next] = [await createAuthority('old'), await createAuthority('next')];
    await workspace.write(FILE, old.cert);
    const certificates = open(workspace);
    await certificates.first();
    await workspace.write(FILE, next.cert);
    const authorities: unknown[] = [];
    await new Promise<void>((resolve) => {
      certificates.watch(({ context }) => {
        authorities.push(context.ca);
        if (context.ca === next.cert) resolve();
      });
    });
    expect(authorities).toEqual([old.cert, next.cert]);
  });

  it('is served with the next authority for clients when their file changes', async () => {
    await using workspace = await Workspace.create();
    const [old, next] = [await createAuthority('old'), await createAuthority('next')];
    await workspace.write(FILE, old.cert);
    const certificates = open(workspace);
    const first = await certificates.first();
    expect(first.context.ca).toBe(old.cert);

    let served: ServingCertificate | undefined;
    certificates.watch((certificate) => {
      served = certificate;
    });
    await workspace.write(FILE, next.cert);
    for (const end = Date.now() + 60_000; served?.context.ca !== next.cert && Date.now() < end;) {
      await sleep(50);
    }
    expect(served?.context.ca).toBe(next.cert);
    expect(served?.fingerprint).toBe(first.fingerprint);
  });

  it('does not start without the file that its clients are checked by', async () => {
    await using workspace = await Workspace.create();
    await expect(open(workspace).first()).rejects.toMatchObject({ code: 'TLS_UNREADABLE' });
  });
});
