const minute = 60_000
const day = 24 * 60 * minute
const longestMemory = 128

const formats = new Map<string, Intl.DateTimeFormat>()

/** Whether this runtime knows the IANA time zone. */
export function isTimeZone(zone: string): boolean {
  try {
    formatOf(zone)
    return true
  } catch {
    // Intl has no other way to say so.
    return false
  }
}

/**
 * What clocks of the zone show at an instant, as milliseconds since 1970 of a zone without offset: read it with the UTC methods
 * of Date. Whole seconds. Throws RangeError for a zone that is not known.
 */
export function wallClock(zone: string, instant: number): number {
  const parts: Record<string, number> = {}
  for (const { type, value } of formatOf(zone).formatToParts(instant)) parts[type] = Number(value)
  const { year = 0, month = 1, day: date = 1, hour = 0, minute: minutes = 0, second = 0 } = parts
  return Date.UTC(year, month - 1, date, hour, minutes, second)
}

/**
 * The first instant at which clocks of the zone show `wall` or later: a time that is skipped in spring is the moment of the change,
 * and of one that comes twice in autumn the first counts.
 */
export function firstInstantOf(zone: string, wall: number): number {
  const offset = (instant: number) => wallClock(zone, instant) - instant
  // Offsets are less than a day, so the instant lies in between.
  let low = wall - day
  let high = wall + day
  const before = offset(low)
  const after = offset(high)
  if (before === after) return wall - before
  while (high - low > 1_000) {
    const middle = Math.floor((low + high) / 2_000) * 1_000
    if (offset(middle) === before) low = middle
    else high = middle
  }
  return wall - before < high ? wall - before : Math.max(high, wall - after)
}

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone)
  if (known !== undefined) return known
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  // Names come from SharePolicies; there are more spellings of zones than anybody needs.
  if (formats.size >= longestMemory) formats.clear()
  formats.set(zone, format)
  return format
}
