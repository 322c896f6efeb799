/** What is measured, side by side. */
export const SUBJECTS = {
  floor: 'floor: node:https that drains the body and answers a constant',
  fastify: 'Fastify, its own parser and a constant answer',
  prefix: 'sdr-image-rewriter, prefix rule',
  'map-10k': 'sdr-image-rewriter, map of 10,000 entries',
  'map-100k': 'sdr-image-rewriter, map of 100,000 entries',
} as const;
export type Subject = keyof typeof SUBJECTS;

export const ALL_SUBJECTS = Object.keys(SUBJECTS) as readonly Subject[];

/** The maps and how many entries they have. */
export const MAP_SIZES = { 'map-10k': 10_000, 'map-100k': 100_000 } as const;
export type MapSubject = keyof typeof MAP_SIZES;
export const MAP_SUBJECTS = Object.keys(MAP_SIZES) as readonly MapSubject[];

export function isMap(subject: Subject): subject is MapSubject {
  return subject in MAP_SIZES;
}

/** Whether it is the program itself, and no yardstick. */
export function isProgram(subject: Subject): boolean {
  return subject === 'prefix' || isMap(subject);
}
