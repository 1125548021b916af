import type { Io } from './io.ts'
import { plain } from './io.ts'

export type Format = 'table' | 'json' | 'yaml'

/** Writes a value as JSON or YAML. */
export async function printObject(io: Io, format: 'json' | 'yaml', value: unknown): Promise<void> {
  if (format === 'json') {
    io.out(`${JSON.stringify(value, null, 2)}\n`)
    return
  }
  const { stringify } = await import('yaml')
  io.out(stringify(value, { lineWidth: 0, aliasDuplicateObjects: false }))
}

/** Columns as kubectl prints them: three blanks between, no lines, empty cells as they are. */
export function columns(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows.map((row) => row.map(plain))]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return all
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('   ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** Time since an instant as kubectl prints it: 42s, 5m, 3h, 12d. */
export function age(since: string | undefined, now: number): string {
  const seconds = since === undefined ? Number.NaN : Math.floor((now - Date.parse(since)) / 1000)
  if (!Number.isFinite(seconds)) return ''
  if (seconds < 120) return `${Math.max(0, seconds)}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}

/** Bytes in binary units with one digit behind the point. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}
