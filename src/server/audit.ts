import type { AdmissionRecord } from '../core/admission.ts';
import type { RequestIdentity } from '../core/admission-request.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { ImageVerdict, Mode } from '../core/verdict.ts';
import type { EventLog } from '../log.ts';
import type { Metrics } from '../metrics.ts';

const IMAGES_LIMIT = 256;
const TEXT_LIMIT = 512;
const OPERATIONS = new Set(['CREATE', 'UPDATE', 'DELETE', 'CONNECT']);

/** Writes the audit line of each request and counts it. */
export interface Auditor {
  answered(record: AdmissionRecord, mode: Mode, milliseconds: number): void;
  /** A request that got an HTTP error in place of a decision, and what is known of it. */
  failed(code: ErrorCode, error: string, asked?: AskedFor): void;
}

/** What a request asked for, as far as it could be read. */
export type AskedFor = { readonly mode: Mode } & Partial<RequestIdentity>;

/** `mapAge` tells how long ago the source confirmed the map in use, in milliseconds. */
export function createAuditor(
  log: EventLog,
  metrics: Metrics,
  mapAge: () => number | undefined,
): Auditor {
  return {
    answered(record, mode, milliseconds) {
      const { operation, outcome, verdicts, map } = record;
      metrics.requests.add(operationLabel(operation), outcome);
      metrics.requestDuration.observe(milliseconds / 1000);
      for (const { image, decision } of verdicts) {
        const rule = decision.outcome === 'rewritten' ? decision.rule : 'none';
        metrics.images.add(decision.outcome, rule, image.field);
      }
      const shown = verdicts.length > IMAGES_LIMIT ? verdicts.slice(0, IMAGES_LIMIT) : verdicts;
      log.write('info', 'admission', {
        mode,
        uid: record.uid,
        dryRun: record.dryRun,
        operation,
        namespace: cut(record.namespace),
        pod: cut(record.pod),
        owner: cut(record.owner),
        user: cut(record.user),
        outcome,
        reason: record.reason,
        images: shown.map(describeImage),
        imagesOmitted: shown === verdicts ? undefined : verdicts.length - IMAGES_LIMIT,
        map: map && { serial: map.serial, etag: map.etag, ageSeconds: seconds(mapAge()) },
        durationMs: rounded(milliseconds),
      });
    },
    failed(code, error, asked) {
      metrics.requests.add(operationLabel(asked?.operation), 'error');
      log.write(code === 'INTERNAL' ? 'error' : 'warn', 'admission', {
        ...asked,
        ...(asked && cutNames(asked)),
        outcome: 'error',
        code,
        error,
      });
    },
  };
}

function operationLabel(operation = ''): string {
  return OPERATIONS.has(operation) ? operation : 'OTHER';
}

function describeImage({ image, decision }: ImageVerdict) {
  const isRewritten = decision.outcome === 'rewritten';
  return {
    container: cut(image.name),
    field: image.field,
    source: cut(image.image),
    target: isRewritten ? decision.target : null,
    rule: isRewritten ? decision.rule : null,
    reason: isRewritten ? null : decision.reason,
  };
}

/** Nobody has checked the names yet: the API server asks before it validates. */
function cutNames({ namespace, pod, owner, user }: Partial<RequestIdentity>) {
  return { namespace: cut(namespace), pod: cut(pod), owner: cut(owner), user: cut(user) };
}

function cut<Text extends string | undefined>(text: Text): Text | string {
  return text === undefined || text.length <= TEXT_LIMIT ? text : `${text.slice(0, TEXT_LIMIT)}…`;
}

function seconds(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : Math.round(milliseconds / 1000);
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}
