const pattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?Z$/

/** Milliseconds since 1970 of a time as messages write it (RFC 3339, UTC); undefined for any other text. */
export function parseDateTime(text: string): number | undefined {
  const at = pattern.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? undefined : at
}

/** A time as messages write it. */
export function dateTimeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}

/** How far the clocks of two owners may be apart. */
export const clockSkewMilliseconds = 300_000
