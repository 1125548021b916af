import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../kube/clock.ts'
import type { Answer } from './answer-copy.ts'
import { type Comparer, createComparer } from './comparer.ts'

let comparer: Comparer
afterEach(() => comparer.close())

function answer(...data: number[]): Answer {
  const outputs = [{ name: 'y', datatype: 'FP64', shape: [data.length], data }]
  return { status: 200, headers: {}, body: Buffer.from(JSON.stringify({ outputs })) }
}

test('pairs are compared in a thread, several at a time, each with its own verdict', async () => {
  comparer = createComparer({ clock: systemClock, log: pino({ level: 'silent' }) })
  const verdicts = await Promise.all([
    comparer.compare(answer(1, 2), answer(1, 2), 0),
    comparer.compare(answer(1, 2), answer(1, 3), 0),
    comparer.compare({ ...answer(), body: Buffer.from('<html>') }, answer(), 0),
  ])
  expect(verdicts).toEqual(['same', 'different', 'incomparable'])
})

test('a comparison that takes too long proves nothing, and the next one gets a new thread', async () => {
  let hurry = true
  // Time passes at once for the first comparison only.
  const after = (ms: number, callback: () => void) => systemClock.after(hurry ? 0 : ms, callback)
  comparer = createComparer({ clock: { ...systemClock, after }, log: pino({ level: 'silent' }) })
  expect(await comparer.compare(answer(1), answer(1), 0)).toBe('incomparable')
  hurry = false
  const big = answer(...Array.from({ length: 100_000 }, (_, i) => i / 7))
  // The first thread's ending must not end what the second one does.
  for (let i = 0; i < 3; i += 1) expect(await comparer.compare(big, big, 0)).not.toBe('different')
  expect(await comparer.compare(answer(1), answer(1), 0)).toBe('same')
})
