import { type Fault, RewriterError } from './errors.ts';

/** One error for all faults of a map; its code is that of the first. */
export function mapError(faults: readonly Fault[], location: string): RewriterError {
  const [first] = faults;
  const count = faults.length === 1 ? 'a fault' : `${faults.length} faults`;
  const message = `the image map ${location} has ${count}: ${first?.path ?? '$'}: ${first?.message ?? ''}`;
  return new RewriterError(first?.code ?? 'MAP_SHAPE_INVALID', message, { faults });
}
