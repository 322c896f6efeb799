import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import closeWithGrace from 'close-with-grace';
import { systemClock } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import { RewriterError } from '../core/errors.ts';
import { environment } from '../environment.ts';
import { createEventLog, type EventLog } from '../log.ts';
import { createMetrics } from '../metrics.ts';
import { createAuditor } from '../server/audit.ts';
import {
  type CertificateSource,
  fileCertificates,
  selfManagedCertificates,
  trialCertificates,
} from '../server/certificates.ts';
import { Drain } from '../server/drain.ts';
import { listen } from '../server/listen.ts';
import { keepNextTickFast } from '../server/next-tick.ts';
import { buildOps } from '../server/ops.ts';
import { Runtime } from '../server/runtime.ts';
import { ServedCertificate } from '../server/served-certificate.ts';
import { describeStatus } from '../server/status.ts';
import { buildWebhook, type WebhookServer } from '../server/webhook.ts';
import { createSource } from '../source/create-source.ts';
import { watchFiles } from '../files/watch-file.ts';
import { VERSION } from '../version.ts';
import { readConfigFile } from './config-file.ts';

/** The API server and kube-proxy need a while to learn that this replica goes away. */
const SERVE_ON = 10_000;
const DRAIN_DEADLINE = 20_000;
/** For somebody to read the last lines of the log. */
const LOG_DEADLINE = 5000;
const GRACE = SERVE_ON + DRAIN_DEADLINE + LOG_DEADLINE + 2000;

export interface ServeOptions {
  readonly config: string;
  readonly selfSigned: boolean;
  /** Told as soon as a signal ends it in good order, so that whoever took signals before lets go of them. */
  readonly onSignalsTaken: () => void;
}

/** Starts the webhook; a signal ends it. The one place where the server's parts are put together. */
export async function serve(options: ServeOptions): Promise<void> {
  const { config: file, selfSigned, onSignalsTaken } = options;
  keepNextTickFast();
  const path = resolve(file);
  const metrics = createMetrics();
  const log = createEventLog('info', {
    onLost: (lines) => {
      metrics.logLinesLost.inc(lines);
    },
  });
  const runtime = await Runtime.create({
    path,
    readConfig: () => readConfigFile(path),
    createSource: (settings) => createSource(settings, environment()),
    log,
    metrics,
  });
  const { config } = runtime;
  const trial = selfSigned ? await trialCertificates() : undefined;
  const certificates = trial ?? configuredCertificates(config, log);

  let webhook: WebhookServer | undefined;
  const served = new ServedCertificate({ log, metrics, clock: systemClock });
  const ops = buildOps({
    registry: metrics.registry,
    status: () => describeStatus(runtime, served.current, drain.isDraining),
    readiness: async () => ({
      mapLoaded: runtime.policy !== undefined,
      notDraining: !drain.isDraining,
      tlsServing: await served.isShownBy(webhook?.server),
      tlsTrusted: certificates.isTrusted(),
    }),
  });
  const drain = new Drain({
    deadline: DRAIN_DEADLINE,
    log,
    closeWebhook: () => webhook?.close() ?? Promise.resolve(),
    closeOps: () => ops.close(),
  });
  const stopWatching = watchFiles([path], () => void runtime.reload());
  const release = async (): Promise<void> => {
    stopWatching();
    runtime.stop();
    await certificates.stop();
  };
  const isOpen = (): boolean => webhook?.server.listening === true;
  handleSignals({ runtime, drain, log, isOpen, release });
  onSignalsTaken();

  try {
    void runtime.start();
    const opsUrl = await listen(ops, config.ops);
    const first = await certificates.first();
    webhook = buildWebhook({
      certificate: first,
      clients: clientCheck(config),
      policy: () => runtime.policy,
      auditor: createAuditor(log, metrics, () => runtime.map?.age),
      isDraining: () => drain.isDraining,
    });
    const { server } = webhook;
    served.note(first);
    certificates.watch((next) => {
      server.setSecureContext(next.context);
      served.note(next);
    });
    const url = await listen(webhook, config.server);
    log.write('info', 'server.started', { url, opsUrl, version: VERSION });
    if (trial !== undefined) {
      process.stderr.write(trialText(url, opsUrl, trial.caFile));
    }
  } catch (error) {
    if (!(error instanceof RewriterError)) await logFault(log, error);
    await release();
    await ops.close();
    throw error;
  }
}

async function logFault(log: EventLog, fault: unknown): Promise<void> {
  const error = fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
  log.write('error', 'server.failed', { error });
  await writeOut(log);
}

function configuredCertificates({ server: { tls } }: Config, log: EventLog): CertificateSource {
  return tls.selfManaged === undefined
    ? fileCertificates(tls, log)
    : selfManagedCertificates(tls, log);
}

function clientCheck({ server: { tls } }: Config): { subjects: readonly string[] } | undefined {
  return tls.clientCAFile === '' ? undefined : { subjects: tls.clientSubjects };
}

interface Signalled {
  readonly runtime: Runtime;
  readonly drain: Drain;
  readonly log: EventLog;
  /** Whether there may be requests by now. */
  readonly isOpen: () => boolean;
  readonly release: () => Promise<void>;
}

function handleSignals({ runtime, drain, log, isOpen, release }: Signalled): void {
  process.on('SIGHUP', () => {
    void runtime.reload();
    void runtime.map?.refreshAnew();
  });
  // SIGHUP asks for a refresh, not for the end; a start that failed has nothing to drain.
  closeWithGrace(
    { delay: GRACE, logger: false, skip: ['SIGHUP', 'beforeExit'] },
    async ({ signal, err }) => {
      if (err !== undefined) {
        await logFault(log, err);
        return;
      }
      // Whoever asks twice means the same; ^C is for those who will not wait.
      process.removeAllListeners('SIGTERM').on('SIGTERM', () => undefined);
      // Whoever presses ^C waits for nothing but the requests in flight.
      const isAwaited = isOpen() && signal !== 'SIGINT';
      await drain.run(signal ?? 'close', isAwaited ? SERVE_ON : 0);
      await release();
      await writeOut(log);
    },
  );
}

/** Ends the process at once where nobody reads the log: nothing gentler ends one with a write in flight. */
async function writeOut(log: EventLog): Promise<void> {
  if (!(await log.flush(LOG_DEADLINE))) {
    process.kill(process.pid, 'SIGKILL');
  }
}

/** Inside the repository; an image has no examples, so there the review is one that somebody brings. */
const EXAMPLE_REVIEW = 'examples/review.json';

function trialText(url: string, opsUrl: string, caFile: string): string {
  const [port, opsPort] = [new URL(url).port, new URL(opsUrl).port];
  const review = existsSync(EXAMPLE_REVIEW) ? EXAMPLE_REVIEW : 'review.json';
  return `
A trial with a certificate that lasts a day. Send it a review:

  curl --cacert ${caFile} -H 'content-type: application/json' \\
    --data @${review} https://localhost:${port}/mutate

  curl http://localhost:${opsPort}/status

`;
}
