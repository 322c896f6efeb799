import { expect, it } from '@jest/globals';
import { type ErrorCode, RewriterError } from '../../src/core/errors.ts';
import type { MapReading, MapSource, ReadRequest } from '../../src/source/source.ts';
import { type Authority, createAuthority } from '../support/certificates.ts';
import type { FaultServer } from '../support/fault-server.ts';
import { bytesOfText } from '../support/maps.ts';
import { Workspace } from '../support/workspace.ts';

export const STALLS = ['answer', 'body', 'signature'] as const;
export type Stall = (typeof STALLS)[number];

/** A source together with the place that it reads, which the test can change. */
export interface SourceBench extends AsyncDisposable {
  readonly source: MapSource;
  /** What the source should call its place. */
  readonly location: string;
  /** What it should say of a place without a map. */
  readonly missing: ErrorCode;
  put(bytes: Uint8Array): Promise<void>;
  /** Puts bytes whose number nobody can tell before they are read; only asked for by `itKeepsTheLimit`. */
  readonly putUncounted?: (bytes: Uint8Array) => Promise<void>;
  putSignature(bytes: Uint8Array): Promise<void>;
  /** From now on the signature is there and cannot be read. */
  breakSignature(): Promise<void>;
  remove(): Promise<void>;
  /** Lets the place stall until the next `put`; only asked for what `itConforms` was told of. */
  readonly stall?: (where: Stall) => void;
  /** How often the signature was asked for; absent where that cannot be seen. */
  readonly signatureReads?: () => number;
}

/** A deadline long enough for whoever answers at all. */
const AMPLE = 10_000;
/** One that a stalled place misses. */
export const SHORT = 300;

export function requestOf(overrides: Partial<ReadRequest> = {}): ReadRequest {
  return {
    etag: undefined,
    maxBytes: 100_000,
    signal: AbortSignal.timeout(AMPLE),
    signed: false,
    ...overrides,
  };
}

/** A reading as plain values, so that it can be compared. */
export function shown(reading: MapReading): unknown {
  return reading.kind === 'unchanged'
    ? 'unchanged'
    : {
        text: Buffer.from(reading.bytes).toString(),
        signature: reading.signature && Buffer.from(reading.signature).toString(),
      };
}

/** That a source reads with the CA that its file holds by then, over no connection made before. */
export async function expectRenewedCa(
  server: FaultServer,
  authority: Authority,
  text: string,
  open: (caFile: string) => MapSource,
): Promise<void> {
  await using workspace = await Workspace.create();
  const next = await createAuthority('the next one');
  const caFile = await workspace.write('ca.crt', authority.cert);
  const source = open(caFile);
  expect(shown(await source.read(requestOf()))).toMatchObject({ text });
  await workspace.write('ca.crt', next.cert);
  expect((await refusalOf(source.read(requestOf()))).code).toBe('MAP_TLS_FAILED');
  await server.drained();
  server.showCertificate(await next.issue('store'));
  expect(shown(await source.read(requestOf()))).toMatchObject({ text });
  await server.drained(1);
}

/** The etag of what is there now. */
export async function etagOf(source: MapSource): Promise<string> {
  const reading = await source.read(requestOf());
  return reading.kind === 'unchanged' ? 'unchanged although nothing was known' : reading.etag;
}

/** Why a read fails; a test where it succeeds is at fault. */
export async function refusalOf(reading: Promise<unknown>): Promise<RewriterError> {
  const error = await reading.then(
    () => new Error('the read succeeds'),
    (reason: unknown) => reason,
  );
  if (error instanceof RewriterError) {
    return error;
  }
  throw error;
}

/** What every source behind the port does, wherever the map is; `stalls` is how that place may stall. */
export function itConforms(open: () => Promise<SourceBench>, stalls: readonly Stall[]): void {
  const MAP = '{"docker.io/atlanhq/mysql:1":"registry.corp.example/mysql:1"}';
  const NEXT = MAP.replaceAll('1', '2');

  it('reads the bytes and names their version', async () => {
    await using bench = await open();
    await bench.put(bytesOfText(MAP));
    const reading = await bench.source.read(requestOf());
    expect(shown(reading)).toEqual({ text: MAP, signature: undefined });
    expect(await etagOf(bench.source)).toMatch(/./);
    expect(await etagOf(bench.source)).toBe(await etagOf(bench.source));
  });

  it('says that the version which the caller has is unchanged', async () => {
    await using bench = await open();
    await bench.put(bytesOfText(MAP));
    const etag = await etagOf(bench.source);
    for (const signed of [false, true, false]) {
      expect(shown(await bench.source.read(requestOf({ etag, signed })))).toBe('unchanged');
    }
  });

  it('reads another version, and then has another etag', async () => {
    await using bench = await open();
    await bench.put(bytesOfText(MAP));
    const etag = await etagOf(bench.source);
    await bench.put(bytesOfText(NEXT));
    const reading = await bench.source.read(requestOf({ etag }));
    expect(shown(reading)).toEqual({ text: NEXT, signature: undefined });
    expect(await etagOf(bench.source)).not.toBe(etag);
  });

  it('takes a map of just the limit, and none of a byte more', async () => {
    await using bench = await open();
    await bench.put(bytesOfText(MAP));
    const { source } = bench;
    const reading = await source.read(requestOf({ maxBytes: MAP.length }));
    expect(shown(reading)).toEqual({ text: MAP, signature: undefined });
    const refusal = await refusalOf(source.read(requestOf({ maxBytes: MAP.length - 1 })));
    expect(refusal.code).toBe('MAP_TOO_LARGE');
  });

  for (const where of stalls) {
    it(`gives up at the deadline when the ${where} stalls, and reads on after that`, async () => {
      await using bench = await open();
      const { source } = bench;
      await bench.put(bytesOfText(MAP));
      await bench.putSignature(bytesOfText('signature'));
      bench.stall?.(where);
      const signal = AbortSignal.timeout(SHORT);
      const refusal = await refusalOf(source.read(requestOf({ signal, signed: true })));
      expect(refusal.code).toBe('MAP_TIMEOUT');
      await bench.put(bytesOfText(NEXT));
      expect(shown(await source.read(requestOf()))).toMatchObject({ text: NEXT });
    });
  }

  it('has a coded error for a place without a map, and reads one that appears there', async () => {
    await using bench = await open();
    for (const signed of [false, true]) {
      const refusal = await refusalOf(bench.source.read(requestOf({ signed })));
      expect(refusal.code).toBe(bench.missing);
    }
    await bench.put(bytesOfText(MAP));
    expect(shown(await bench.source.read(requestOf()))).toMatchObject({ text: MAP });
    await bench.remove();
    expect((await refusalOf(bench.source.read(requestOf()))).code).toBe(bench.missing);
  });

  it('reads the signature where it is asked for and the map is another', async () => {
    await using bench = await open();
    const { source, signatureReads = () => 0 } = bench;
    await bench.put(bytesOfText(MAP));
    await bench.putSignature(bytesOfText('signature'));
    const etag = await etagOf(source);
    await source.read(requestOf({ etag, signed: true }));
    expect(signatureReads()).toBe(0);
    const reading = await source.read(requestOf({ signed: true }));
    expect(shown(reading)).toEqual({ text: MAP, signature: 'signature' });
  });

  it('gives a map without a signature as just that', async () => {
    await using bench = await open();
    await bench.put(bytesOfText(MAP));
    const reading = await bench.source.read(requestOf({ signed: true }));
    expect(shown(reading)).toEqual({ text: MAP, signature: undefined });
  });

  it('does not take a signature that it cannot read for one that is not there', async () => {
    await using bench = await open();
    await bench.put(bytesOfText(MAP));
    await bench.breakSignature();
    expect((await refusalOf(bench.source.read(requestOf({ signed: true })))).code).toMatch(/^MAP_/);
  });

  it('does not read a signature without bound', async () => {
    await using bench = await open();
    await bench.put(bytesOfText(MAP));
    await bench.putSignature(bytesOfText('x'.repeat(100_000)));
    const refusal = await refusalOf(bench.source.read(requestOf({ signed: true })));
    expect(refusal.code).toBe('MAP_TOO_LARGE');
  });

  it('names its place without anything that could be a secret', async () => {
    await using bench = await open();
    expect(bench.source.location).toBe(bench.location);
    const refusal = await refusalOf(bench.source.read(requestOf()));
    expect(bench.source.location).toBe(bench.location);
    expect(refusal.message).not.toMatch(/secret/i);
  });
}

/** What a source does whose place need not tell how large a map is. */
export function itKeepsTheLimit(open: () => Promise<SourceBench>): void {
  it('keeps the limit while it reads, where nothing tells the size before', async () => {
    await using bench = await open();
    await bench.putUncounted?.(bytesOfText('x'.repeat(20_000)));
    const refusal = await refusalOf(bench.source.read(requestOf({ maxBytes: 10_000 })));
    expect(refusal.code).toBe('MAP_TOO_LARGE');
  });
}
