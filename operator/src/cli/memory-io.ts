import type { Io } from './io.ts'

/** An `Io` for tests that keeps what was written. */
export function memoryIo(options: Partial<Io> = {}): Io & { output(): string; errors(): string } {
  let output = ''
  let errors = ''
  return {
    out: (text) => {
      output += text
    },
    err: (text) => {
      errors += text
    },
    colour: false,
    terminal: false,
    width: 80,
    now: () => Date.parse('2026-01-01T01:00:00Z'),
    ...options,
    output: () => output,
    errors: () => errors,
  }
}
