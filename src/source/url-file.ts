import { RewriterError } from '../core/errors.ts';
import type { MapSource } from './source.ts';
import { readText } from '../files/text-file.ts';
import { watchFiles } from '../files/watch-file.ts';

interface Opened {
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
  let opened: Opened | undefined;
  const current = async (): Promise<Opened> => {
    const url = await readUrl(path);
    if (opened?.url !== url) {
      opened?.source.close?.();
      opened = { url, source: open(url) };
    }
    return opened;
  };
  return {
    get location() {
      return opened?.source.location ?? `the URL in ${path}`;
    },
    get place() {
      return opened?.source.place;
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
    close: () => opened?.source.close?.(),
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
