import { readText } from '../files/text-file.ts';

/** The PEM text of `imageMap.s3.caFile`; undefined for the empty path. Throws `MAP_TLS_FAILED`. */
export async function readCa(path: string): Promise<string | undefined> {
  return path === '' ? undefined : readText(path, 'imageMap.s3.caFile', 'MAP_TLS_FAILED');
}

/** Gives a client, the same one as long as it can be. */
interface ClientGiver<Client> {
  (): Promise<Client>;
  /** Closes what was given; the next one is new. */
  close(): void;
}

/**
 * Gives a client that trusts the CA in a file: the same one while the file stays as it is, since its
 * connections are kept, and another one as soon as it holds another CA. Throws `MAP_TLS_FAILED`.
 */
export function clientByCa<Client>(
  path: string,
  open: (ca: string | undefined) => Client | Promise<Client>,
  close: (client: Client) => void,
): ClientGiver<Client> {
  let latest: { readonly ca: string | undefined; readonly client: Client } | undefined;
  const closeLatest = (): void => {
    if (latest !== undefined) {
      close(latest.client);
      latest = undefined;
    }
  };
  const give = async (): Promise<Client> => {
    const ca = await readCa(path);
    if (latest === undefined || latest.ca !== ca) {
      const client = await open(ca);
      closeLatest();
      latest = { ca, client };
    }
    return latest.client;
  };
  return Object.assign(give, { close: closeLatest });
}

/** Closes the client when the signal aborts before the work is done: what it waits for, it may wait for for ever. */
export async function closedOnAbort<Result>(
  client: Pick<ClientGiver<unknown>, 'close'>,
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<Result> {
  const giveUp = (): void => client.close();
  signal.addEventListener('abort', giveUp);
  try {
    return await work();
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}
