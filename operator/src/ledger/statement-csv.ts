import type { Statement, StatementLine } from './statement.ts'

const columns: readonly (keyof StatementLine)[] = [
  ...(['peer', 'side', 'namespace', 'service', 'costCentre', 'currency', 'claims', 'requests'] as const),
  ...(['inputTokens', 'outputTokens', 'requestBytes', 'responseBytes', 'reservedGPUSeconds'] as const),
  ...(['busyGPUMilliseconds', 'idleGPUMilliseconds', 'preemptedGPUSeconds'] as const),
  ...(['micros', 'agreedMicros', 'disputedMicros'] as const),
]

/** The lines of a statement as CSV (RFC 4180). */
export function statementCsv({ lines }: Statement): string {
  const rows = [columns, ...lines.map((line) => columns.map((column) => line[column]))]
  return rows.map((row) => `${row.map(cell).join(',')}\r\n`).join('')
}

/** A text that a spreadsheet would take for a formula gets an apostrophe in front, which makes it a text there. */
function cell(value: string | number): string {
  const harmless = typeof value === 'string' && /^\s*[=+\-@\t\r]/.test(value) ? `'${value}` : String(value)
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
