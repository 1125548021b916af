import { type Window, weekdays } from '../api/share-policy.ts'
import { firstInstantOf, wallClock } from './zone-time.ts'

const day = 86_400_000
// A window begins at least once a week; one that began two days ago may still be open.
const daysBack = 2
const daysAhead = 9

/** `closes` and `opens` in milliseconds since 1970; `closes` is missing when it does not close within a week. */
export type WindowState =
  | { readonly open: true; readonly closes?: number }
  | { readonly open: false; readonly opens?: number }

type Span = { start: number; end: number }

/**
 * Whether guests may run at `now`, and until or from when; windows that touch or overlap are one. No windows: always. Boundaries are the
 * first moment at which clocks of the window's zone show that time or later. Throws RangeError for a zone that is not known.
 */
export function windowState(windows: readonly Window[] | undefined, now: number): WindowState {
  if (windows === undefined || windows.length === 0) return { open: true }
  const spans = windows.flatMap((window) => spansOf(window, now)).sort((a, b) => a.start - b.start)
  let closes: number | undefined
  for (const { start, end } of spans) {
    if (start <= (closes ?? now) && end > (closes ?? now)) closes = end
  }
  if (closes !== undefined) return closes > now + 7 * day ? { open: true } : { open: true, closes }
  const opens = spans.find(({ start }) => start > now)?.start
  return opens === undefined ? { open: false } : { open: false, opens }
}

function spansOf({ timeZone, days, start, end }: Window, now: number): Span[] {
  const today = Math.floor(wallClock(timeZone, now) / day) * day
  const from = millisecondsOf(start)
  const to = millisecondsOf(end)
  const spans: Span[] = []
  for (let offset = -daysBack; offset <= daysAhead; offset++) {
    const date = today + offset * day
    if (days !== undefined && !days.includes(weekdayOf(date))) continue
    const last = to > from ? date + to : date + day + to
    const span = { start: firstInstantOf(timeZone, date + from), end: firstInstantOf(timeZone, last) }
    if (span.end > span.start) spans.push(span)
  }
  return spans
}

function weekdayOf(date: number): (typeof weekdays)[number] {
  // Date counts from Sunday, the API from Monday.
  return weekdays[(new Date(date).getUTCDay() + 6) % 7] ?? 'Monday'
}

function millisecondsOf(clock: string): number {
  const [hours = 0, minutes = 0] = clock.split(':').map(Number)
  return (hours * 60 + minutes) * 60_000
}
