import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Window, weekdays } from '../api/share-policy.ts'
import { windowState } from './windows.ts'
import { firstInstantOf, isTimeZone, wallClock } from './zone-time.ts'

const at = (text: string) => Date.parse(text)
const text = (instant: number | undefined) => (instant === undefined ? undefined : new Date(instant).toISOString())
const window = (start: string, end: string, more: Partial<Window> = {}): Window => ({
  name: 'night',
  timeZone: 'Europe/Berlin',
  start,
  end,
  ...more,
})

test('no windows are always open', () => {
  expect(windowState(undefined, at('2026-03-01T00:00:00Z'))).toEqual({ open: true })
  expect(windowState([], at('2026-03-01T00:00:00Z'))).toEqual({ open: true })
})

describe('a window from 20:00 to 06:00 in Berlin', () => {
  const night = [window('20:00', '06:00')]
  test.each([
    ['in winter before it', '2026-01-10T18:59:59Z', { open: false, opens: '2026-01-10T19:00:00.000Z' }],
    ['in winter at its start', '2026-01-10T19:00:00Z', { open: true, closes: '2026-01-11T05:00:00.000Z' }],
    ['in summer, an hour earlier', '2026-07-10T18:00:00Z', { open: true, closes: '2026-07-11T04:00:00.000Z' }],
    ['after midnight', '2026-07-11T03:59:59Z', { open: true, closes: '2026-07-11T04:00:00.000Z' }],
    ['at its end', '2026-07-11T04:00:00Z', { open: false, opens: '2026-07-11T18:00:00.000Z' }],
    ['in the night that has 9 hours', '2026-03-28T20:00:00Z', { open: true, closes: '2026-03-29T04:00:00.000Z' }],
    ['in the night that has 11 hours', '2026-10-24T20:00:00Z', { open: true, closes: '2026-10-25T05:00:00.000Z' }],
  ])('%s', (_when, now, expected) => {
    const state = windowState(night, at(now))
    expect({
      open: state.open,
      ...(state.open ? { closes: text(state.closes) } : { opens: text(state.opens) }),
    }).toEqual(expected)
  })
})

test('a boundary that is skipped in spring is the moment of the change, and one that comes twice counts the first time', () => {
  expect(windowState([window('02:30', '05:00')], at('2026-03-29T00:59:59Z'))).toEqual({
    open: false,
    opens: at('2026-03-29T01:00:00Z'),
  })
  expect(windowState([window('02:30', '05:00')], at('2026-10-25T00:00:00Z'))).toEqual({
    open: false,
    opens: at('2026-10-25T00:30:00Z'),
  })
  expect(windowState([window('00:00', '02:30')], at('2026-10-25T00:00:00Z'))).toEqual({
    open: true,
    closes: at('2026-10-25T00:30:00Z'),
  })
})

test('days say when a window begins, not when it ends', () => {
  const friday = [window('20:00', '06:00', { days: ['Friday'] })]
  // 2026-07-10 is a Friday.
  expect(windowState(friday, at('2026-07-11T03:00:00Z'))).toMatchObject({ open: true })
  expect(windowState(friday, at('2026-07-11T18:30:00Z'))).toEqual({ open: false, opens: at('2026-07-17T18:00:00Z') })
})

test('equal start and end are a whole day; on all days the window never closes', () => {
  const always = [window('08:00', '08:00')]
  expect(windowState(always, at('2026-07-10T12:00:00Z'))).toEqual({ open: true })
  const sunday = [window('00:00', '00:00', { days: ['Sunday'] })]
  expect(windowState(sunday, at('2026-07-12T12:00:00Z'))).toEqual({ open: true, closes: at('2026-07-12T22:00:00Z') })
})

test('windows that touch or overlap are one, also across zones', () => {
  const both = [
    window('20:00', '23:00', { name: 'evening', timeZone: 'UTC' }),
    window('23:00', '04:00', { name: 'night', timeZone: 'UTC' }),
    window('05:00', '07:00', { name: 'morning', timeZone: 'Europe/Berlin' }),
  ]
  expect(windowState(both, at('2026-07-10T21:00:00Z'))).toEqual({ open: true, closes: at('2026-07-11T05:00:00Z') })
})

test('a zone that is not known is told apart', () => {
  expect(isTimeZone('Europe/Berlin')).toBe(true)
  expect(isTimeZone('Mars/Olympus')).toBe(false)
  expect(() => windowState([window('20:00', '06:00', { timeZone: 'Mars/Olympus' })], 0)).toThrow(RangeError)
})

const zones = ['UTC', 'Europe/Berlin', 'America/St_Johns', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'America/Sao_Paulo']
const instants = fc.integer({ min: at('2015-01-01T00:00:00Z') / 60_000, max: at('2035-01-01T00:00:00Z') / 60_000 })
const clock = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.constantFrom(0, 15, 30, 59))
  .map(([hour, minute]) => `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`)
const anyWindow = fc.record({
  name: fc.constant('w'),
  timeZone: fc.constantFrom(...zones),
  start: clock,
  end: clock,
  days: fc.subarray([...weekdays], { minLength: 1 }),
})

test('the first instant of a wall time is the first: a second earlier every clock shows less', () => {
  fc.assert(
    fc.property(fc.constantFrom(...zones), instants, (zone, minute) => {
      const wall = minute * 60_000
      const first = firstInstantOf(zone, wall)
      expect(wallClock(zone, first)).toBeGreaterThanOrEqual(wall)
      for (let earlier = 1; earlier <= 3 * 60; earlier += 7) {
        expect(wallClock(zone, first - earlier * 60_000)).toBeLessThan(wall)
      }
      expect(wallClock(zone, first - 1_000)).toBeLessThan(wall)
    }),
    { numRuns: 300 },
  )
})

test('what a window says of its next change comes true, and nothing changes before', () => {
  fc.assert(
    fc.property(
      fc.array(anyWindow, { minLength: 1, maxLength: 3 }),
      instants,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (windows, minute, share) => {
        const now = minute * 60_000
        const state = windowState(windows, now)
        const change = state.open ? state.closes : state.opens
        if (change === undefined) {
          // Empty spans aside (a start and an end that are both skipped), only a window that never closes has no change.
          expect(state.open).toBe(true)
          return
        }
        expect(change).toBeGreaterThan(now)
        const between = Math.floor(now + share * (change - now))
        if (between < change) expect(windowState(windows, between).open).toBe(state.open)
        expect(windowState(windows, change - 1_000).open).toBe(state.open)
        expect(windowState(windows, change).open).toBe(!state.open)
      },
    ),
    { numRuns: 200 },
  )
})

test('it agrees with clocks read one by one', () => {
  fc.assert(
    fc.property(anyWindow, instants, (window, minute) => {
      const now = minute * 60_000
      expect(windowState([window], now).open).toBe(isOpenByClock(window, now))
    }),
    { numRuns: 500 },
  )
})

/** Slow and simple: looks back minute by minute for the last boundary that a clock passed. */
function isOpenByClock({ timeZone, days, start, end }: Window, now: number): boolean {
  const minutesOf = (clock: string) => Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3))
  const from = minutesOf(start)
  const to = minutesOf(end)
  const wall = wallClock(timeZone, now)
  const today = Math.floor(wall / 86_400_000)
  return [today - 1, today].some((date) => {
    const weekday = weekdays[(((date + 3) % 7) + 7) % 7]
    if (days !== undefined && weekday !== undefined && !days.includes(weekday)) return false
    const first = date * 86_400_000 + from * 60_000
    const last = (to > from ? date : date + 1) * 86_400_000 + to * 60_000
    return reached(timeZone, now, first) && !reached(timeZone, now, last)
  })
}

/** Whether a clock of the zone has shown that time or later at any minute of the last three hours, or shows it now. */
function reached(zone: string, now: number, wall: number): boolean {
  for (let back = 0; back <= 180; back++) {
    if (wallClock(zone, now - back * 60_000) >= wall) return true
  }
  return false
}
