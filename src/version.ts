/** The version in package.json and in the chart; a test compares them. */
export const VERSION = '0.1.0';

/** Set where the sources are bundled: a digest of all of them. */
declare const DIGEST_OF_SOURCES: string | undefined;

/** Tells this program from another one of the same version. */
export const BUILD = typeof DIGEST_OF_SOURCES === 'string' ? DIGEST_OF_SOURCES : VERSION;
