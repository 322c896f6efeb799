// JSON Schema of the structured form of an image map; the references in it are checked by `map lint` only.
import { MAP_API_VERSION, MAP_ENTRY_LIMIT, MAP_STRING_LIMIT } from '../src/core/map-document.ts';

const text = { type: 'string', minLength: 1, maxLength: MAP_STRING_LIMIT };

/** Keys that are not named have no effect, so they are no fault here either; `map lint` warns of them. */
export const IMAGE_MAP_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'sdr-image-rewriter image map',
  type: 'object',
  required: ['apiVersion'],
  properties: {
    apiVersion: { const: MAP_API_VERSION, description: 'Version of this format.' },
    serial: {
      type: 'integer',
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'Rises with each published map; a lower one than that in use is refused.',
    },
    generatedAt: {
      type: 'string',
      description: 'When the map was made, such as 2026-11-23T08:00:00Z; for people.',
    },
    images: {
      type: 'array',
      maxItems: MAP_ENTRY_LIMIT,
      description: 'Single images; each is pulled as exactly its target.',
      items: {
        type: 'object',
        required: ['source', 'target'],
        properties: {
          source: {
            ...text,
            description:
              'repository:tag, repository@digest, repository:tag@digest, or @digest for any repository.',
          },
          aliases: {
            type: 'array',
            items: text,
            description:
              'More sources with the same target, such as the same image in a twin registry.',
          },
          sourceDigest: {
            type: 'string',
            pattern: '^sha(?:256:[a-f0-9]{64}|384:[a-f0-9]{96}|512:[a-f0-9]{128})$',
            description: 'Digest of the source when it was mirrored.',
          },
          target: { ...text, description: 'What is pulled; best with a digest.' },
          platforms: {
            type: 'array',
            items: { type: 'string', maxLength: MAP_STRING_LIMIT },
            description: 'Platforms that the target has, such as linux/amd64.',
          },
        },
      },
    },
    repositories: {
      type: 'array',
      maxItems: MAP_ENTRY_LIMIT,
      description: 'Repositories that move as a whole; tag and digest are carried over.',
      items: {
        type: 'object',
        required: ['source', 'target'],
        properties: {
          source: { ...text, description: 'Repository, without tag and digest.' },
          target: { ...text, description: 'Repository that takes its place.' },
        },
      },
    },
    prefixes: {
      type: 'array',
      maxItems: MAP_ENTRY_LIMIT,
      description: 'Prefixes of names that move; tag and digest are carried over.',
      items: {
        type: 'object',
        required: ['source', 'target'],
        properties: {
          source: { ...text, description: 'registry or registry/path.' },
          target: { ...text, description: 'What takes its place.' },
        },
      },
    },
  },
} as const;
