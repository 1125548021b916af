import { InferProblem } from './problem.ts'

/** Parameters whose meaning would be lost if they were merely ignored. */
const unsupported = new Set(['shared_memory_region', 'classification', 'sequence_id', 'sequence_start', 'sequence_end'])

/** Throws InferProblem (Unsupported) for a parameter that asks for what is not offered. */
export function refuseUnsupported(names: Iterable<string>): void {
  for (const name of names) {
    if (unsupported.has(name)) throw new InferProblem('Unsupported', `parameter ${name} is not supported`)
  }
}
