import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { RewriterError } from '../core/errors.ts';
import type { Cluster, ClusterNames } from '../kube/cluster.ts';
import type { SelfManagedCertificate } from '../kube/self-managed-certificate.ts';
import type { EventLog } from '../log.ts';
import { type Clock, systemClock } from '../clock.ts';
import { watchFiles } from '../files/watch-file.ts';
import { CertificateReload } from './certificate-reload.ts';
import {
  checkCertificate,
  checkSuccessor,
  loadCertificate,
  readClientCA,
  type ServingCertificate,
} from './tls.ts';

type TlsConfig = Config['server']['tls'];

/** Where the certificate of the server comes from, and how it learns of the next one. */
export interface CertificateSource {
  /** The first certificate; rejects where there cannot be one. */
  first(): Promise<ServingCertificate>;
  /** Calls back with each later one. */
  watch(onChange: (certificate: ServingCertificate) => void): void;
  /** Whether those who call us trust what we serve, as far as we can tell. */
  isTrusted(): boolean;
  stop(): Promise<void>;
}

/** Certificate and key in files, such as a mounted Secret that cert-manager renews. */
export function fileCertificates(
  tls: TlsConfig,
  log: EventLog,
  clock: Clock = systemClock,
): CertificateSource {
  const { certFile, keyFile, clientCAFile } = tls;
  if (certFile === '' || keyFile === '') {
    throw new RewriterError(
      'CONFIG_INCOMPLETE',
      'server.tls.certFile and server.tls.keyFile are missing; set both, or call serve with --self-signed for a trial',
    );
  }
  let inUse: ServingCertificate | undefined;
  let onNext: ((certificate: ServingCertificate) => void) | undefined;
  const load = async (): Promise<ServingCertificate> => {
    const next = await loadCertificate(tls);
    checkSuccessor(next, inUse, clock.now());
    inUse = next;
    return next;
  };
  const reload = new CertificateReload({
    load: async () => onNext?.(await load()),
    onRefusal: (error) => logRefusal(log, error),
    clock,
  });
  let stopWatching: (() => void) | undefined;
  return {
    first: load,
    watch(onChange) {
      onNext = onChange;
      const files = [certFile, keyFile, ...(clientCAFile === '' ? [] : [clientCAFile])];
      stopWatching = watchFiles(files, () => reload.ask());
      // They may have changed since the first one, when nobody watched.
      reload.ask();
    },
    isTrusted: () => true,
    stop() {
      stopWatching?.();
      reload.stop();
      return Promise.resolve();
    },
  };
}

/** A certificate that the process makes, keeps in a Secret and makes known to the API server. */
export function selfManagedCertificates(
  tls: TlsConfig,
  log: EventLog,
  connect: (names: ClusterNames) => Promise<Cluster> = connectLazily,
): CertificateSource {
  const { selfManaged, minVersion, clientCAFile } = tls;
  if (selfManaged === undefined) {
    throw new RewriterError('CONFIG_INCOMPLETE', 'server.tls.selfManaged is missing');
  }
  let issued: { readonly cert: string; readonly key: string } | undefined;
  let latest: ServingCertificate | undefined;
  let onNext: (certificate: ServingCertificate) => void;
  let keeper: SelfManagedCertificate | undefined;
  let stopWatching: (() => void) | undefined;
  /** What was issued last, with the authority for clients as it is now. */
  const serveIssued = async (): Promise<void> => {
    if (issued === undefined) return;
    const clientCA = await readClientCA(clientCAFile);
    latest = checkCertificate(issued.cert, issued.key, minVersion, clientCA);
    onNext(latest);
  };
  const reload = new CertificateReload({
    load: serveIssued,
    onRefusal: (error) => logRefusal(log, error),
    clock: systemClock,
  });
  const start = async (): Promise<void> => {
    const [{ SelfManagedCertificate: Keeper }, cluster] = await Promise.all([
      import('../kube/self-managed-certificate.ts'),
      connect(selfManaged),
      // A fault of the file is a reason not to start.
      readClientCA(clientCAFile),
    ]);
    keeper = new Keeper({
      cluster,
      settings: selfManaged,
      clock: systemClock,
      observer: {
        issued: (pair) => {
          issued = pair;
          reload.ask();
        },
        changed: (what) => log.write('info', 'tls.managed', { changed: what }),
        failed: (error) => logRefusal(log, error),
      },
    });
    void keeper.start();
  };
  return {
    first: () =>
      new Promise((resolve, reject) => {
        onNext = resolve;
        start().catch(reject);
      }),
    watch(onChange) {
      onNext = onChange;
      // Between the first one and this call there may have been another.
      if (latest !== undefined) onChange(latest);
      if (clientCAFile !== '') {
        stopWatching = watchFiles([clientCAFile], () => reload.ask());
        reload.ask();
      }
    },
    isTrusted: () => keeper?.isPublished ?? false,
    stop() {
      stopWatching?.();
      reload.stop();
      keeper?.stop();
      return Promise.resolve();
    },
  };
}

/** The Kubernetes client takes long to load, and only this kind of certificate needs it. */
async function connectLazily(names: ClusterNames): Promise<Cluster> {
  const { connectCluster } = await import('../kube/cluster.ts');
  return connectCluster(names);
}

/** A certificate for a trial on this machine, valid for a day; its authority is in `caFile` until `stop`. */
export async function trialCertificates(): Promise<
  CertificateSource & { readonly caFile: string }
> {
  // Only who makes certificates pays for loading the library.
  const { createAuthority, issueLeaf } = await import('../kube/x509.ts');
  const validity = { now: new Date(), lifetime: 86_400_000 };
  const authority = await createAuthority('sdr-image-rewriter trial', validity);
  const names = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1', '::1'] };
  const { cert, key } = await issueLeaf(authority, names, validity);
  const folder = await mkdtemp(join(tmpdir(), 'sdr-image-rewriter-'));
  const caFile = join(folder, 'ca.crt');
  await writeFile(caFile, authority.cert);
  return {
    caFile,
    first: () => Promise.resolve(checkCertificate(cert, key, 'TLSv1.2')),
    watch: () => undefined,
    isTrusted: () => true,
    stop: () => rm(folder, { recursive: true, force: true }),
  };
}

function logRefusal(log: EventLog, error: unknown): void {
  const { code, message } = error as RewriterError;
  log.write('error', 'tls.rejected', { code, error: message });
}
