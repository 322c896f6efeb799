import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { environment } from '../environment.ts';
import { quote, RewriterError } from '../core/errors.ts';
import { type Publication, publishMap } from '../source/publish-map.ts';
import { openStore, parseS3Url, type S3Location } from '../source/s3.ts';
import { readPrivateKey } from '../source/signature.ts';
import { diffJson, diffText } from './map-diff.ts';
import { addMapOptions, type MapOptions, readGoodMap } from './map-input.ts';
import { parseMapPlace, withoutSecrets } from './map-place.ts';
import { renderJsonLines } from './output.ts';
import { loadConfig } from './load-config.ts';

const RETRIES = 5;
const RETRY_PAUSE = 500;

interface PublishOptions extends MapOptions {
  readonly signKey?: string;
  readonly dryRun: boolean;
  readonly retry: boolean;
  readonly allowShrink: boolean;
}

export function addMapPublishCommand(map: Command): void {
  const command = map
    .command('publish')
    .description(
      'Writes an image map to S3 with the next serial, in place of the one that is there.',
    )
    .argument('<map>', 'a file, - for standard input, or a URL')
    .argument('<url>', 's3://bucket/key')
    .option('--sign-key <file>', 'Ed25519 private key (PEM) to sign with')
    .option('--dry-run', 'say what would be published, and write nothing', false)
    .option('--retry', 'try again where somebody else published meanwhile', false)
    .option('--allow-shrink', 'publish even though sources are removed', false);
  addMapOptions(command).action(async (place: string, url: string, options: PublishOptions) => {
    const { signKey, dryRun, allowShrink, retry, output } = options;
    const config = await loadConfig(options);
    const { bucket, key } = locationOf(url);
    const { bytes, map } = await readGoodMap(parseMapPlace(place), config);
    const { s3, maxBytes, timeout } = config.imageMap;
    const store = await openStore(bucket, { ...s3, env: environment() });
    const request = {
      store,
      key,
      // Without a byte order mark: readers in other languages refuse one in JSON.
      text: new TextDecoder().decode(bytes),
      map,
      maxBytes,
      timeout,
      signKey: signKey === undefined ? undefined : await readPrivateKey(signKey),
      allowShrink,
      dryRun,
    };
    const attempt = (): ReturnType<typeof publishMap> =>
      publishMap({ ...request, now: new Date() });
    try {
      let publication = await attempt();
      for (
        let retries = 0;
        retry && publication.kind === 'lost' && retries < RETRIES;
        retries += 1
      ) {
        process.stderr.write('somebody else published meanwhile; trying again\n');
        await sleep(RETRY_PAUSE * (1 + Math.random()));
        publication = await attempt();
      }
      if (publication.kind === 'lost') {
        throw new RewriterError(
          'MAP_RACE_LOST',
          `somebody else published to ${url} meanwhile, and what is there is not this map; run the command again, or with --retry`,
        );
      }
      process.stdout.write(
        output === 'json'
          ? renderJsonLines([publicationJson(publication)])
          : publicationText(publication, url),
      );
    } finally {
      store.close();
    }
  });
}

/** Throws `USAGE`: in a configuration such a URL would be a fault of the file. */
function locationOf(url: string): S3Location {
  try {
    return parseS3Url(url);
  } catch (error) {
    throw new RewriterError(
      'USAGE',
      `cannot publish to ${quote(withoutSecrets(url))}; write the place of the map as s3://bucket/key`,
      { cause: error },
    );
  }
}

function publicationJson({ kind, serial, etag, versionId, diff }: Publication): object {
  return {
    result: kind,
    serial: serial ?? null,
    etag: etag ?? null,
    versionId: versionId ?? null,
    ...diffJson(diff),
  };
}

function publicationText({ kind, serial, etag, diff }: Publication, url: string): string {
  const shown = serial ?? 'none';
  switch (kind) {
    case 'published':
      return `${diffText(diff)}published ${url} with serial ${shown} (etag ${etag ?? ''})\n`;
    case 'planned':
      return `${diffText(diff)}would publish ${url} with serial ${shown}\n`;
    case 'nothing-new':
      return `${url} has these rules already, with serial ${shown}; nothing to publish\n`;
  }
}
