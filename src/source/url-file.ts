import { RewriterError } from '../core/errors.ts';
import type { MapSource } from './source.ts';
import { readText } from './text-file.ts';
import { watchFiles } from './watch-file.ts';

interface Place {
  readonly url: string;
  readonly source: MapSource;
  /** Of the version that it gave last. */
  etag?: string;
}

/**
 * A source whose URL stands in a file, such as a mounted Secret, since it carries a token. The file is
 * read before each read of the map, so that a renewed token is used at once.
 */
export function createUrlFileSource(path: string, open: (url: string) => MapSource): MapSource {
  let place: Place | undefined;
  const current = async (): Promise<Place> => {
    const url = await readUrl(path);
    if (place?.url !== url) {
      place?.source.close?.();
      place = { url, source: open(url) };
    }
    return place;
  };
  return {
    get location() {
      return place?.source.location ?? `the URL in ${path}`;
    },
    async prepare() {
      await current();
    },
    async read(request) {
      const asked = await current();
      // The etag of another place says nothing about this one.
      const etag = request.etag === asked.etag ? request.etag : undefined;
      const reading = await asked.source.read({ ...request, etag });
      if (reading.kind === 'changed') {
        asked.etag = reading.etag;
      }
      return reading;
    },
    watch: (onChange) => watchFiles([path], onChange),
    close: () => place?.source.close?.(),
  };
}

async function readUrl(path: string): Promise<string> {
  const text = (await readText(path, 'imageMap.urlFile', 'MAP_UNREADABLE')).trim();
  if (!URL.canParse(text)) {
    // The text itself may be a token.
    throw new RewriterError('MAP_UNREADABLE', `imageMap.urlFile ${path} does not hold one URL`);
  }
  return text;
}
