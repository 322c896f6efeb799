import { readText } from './text-file.ts';

/** The PEM text of `imageMap.s3.caFile`; undefined for the empty path. Throws `MAP_TLS_FAILED`. */
export async function readCa(path: string): Promise<string | undefined> {
  return path === '' ? undefined : readText(path, 'imageMap.s3.caFile', 'MAP_TLS_FAILED');
}

/**
 * Gives a client that trusts the CA in a file: the same one while the file stays as it is, since its
 * connections are kept, and another one as soon as it holds another CA. Throws `MAP_TLS_FAILED`.
 */
export function clientByCa<Client>(
  path: string,
  open: (ca: string | undefined) => Client | Promise<Client>,
  close: (client: Client) => void,
): () => Promise<Client> {
  let latest: { readonly ca: string | undefined; readonly client: Client } | undefined;
  return async () => {
    const ca = await readCa(path);
    if (latest === undefined || latest.ca !== ca) {
      const client = await open(ca);
      if (latest !== undefined) {
        close(latest.client);
      }
      latest = { ca, client };
    }
    return latest.client;
  };
}
