import fc from 'fast-check'
import { expect, test } from 'vitest'
import { judgeConfirmation, nextConfirmation, type Told } from './restore.ts'
import { blockSize, nextEpoch } from './sequence.ts'

const base = { asks: 'ours', heard: undefined, told: undefined, ownIncarnation: 0, epochSeen: 0, sequence: 1 }

test('the first statement asks and answers nothing', () => {
  expect(nextConfirmation(base)).toEqual({
    told: undefined,
    body: { sequence: 1, asks: 'ours', ownIncarnation: 0, epoch: 0, incarnation: 0 },
  })
})

test('a question gets a number larger than any before, and the same number when it comes again', () => {
  const heard = { asks: 'theirs', ownIncarnation: 4 }
  const first = nextConfirmation({ ...base, heard, told: { answers: 'older', incarnation: 2 }, epochSeen: 9 })
  expect(first.told).toEqual({ answers: 'theirs', incarnation: 5 })
  expect(first.body).toMatchObject({ answers: 'theirs', incarnation: 5, epoch: 9 })
  expect(nextConfirmation({ ...base, heard, told: first.told }).told).toEqual(first.told)
  const next = nextConfirmation({ ...base, heard: { asks: 'again', ownIncarnation: 0 }, told: first.told })
  expect(next.told).toEqual({ answers: 'again', incarnation: 6 })
})

const heard = { answers: 'ours', incarnation: 3, epoch: 2_000_004 }

test('nothing is granted before the question of this start is answered', () => {
  const known = { incarnation: 2, epoch: 2_000_004 }
  expect(judgeConfirmation({ asks: 'ours', known, heard: undefined }).state).toBe('AwaitingConfirmation')
  const stale = { ...heard, answers: 'of an earlier start' }
  expect(judgeConfirmation({ asks: 'ours', known, heard: stale }).state).toBe('AwaitingConfirmation')
  const behind = { ...heard, incarnation: 2 }
  expect(judgeConfirmation({ asks: 'ours', known, heard: behind }).state).toBe('AwaitingConfirmation')
})

test('a plain restart is told from a restore', () => {
  const restarted = judgeConfirmation({ asks: 'ours', known: { incarnation: 2, epoch: 2_000_004 }, heard })
  expect(restarted).toEqual({
    state: 'New',
    restored: false,
    incarnation: 3,
    epoch: 2_000_004,
    confirmedNonce: 'ours',
  })
  expect(judgeConfirmation({ asks: 'ours', known: { incarnation: 2, epoch: 2_000_003 }, heard })).toMatchObject({
    restored: true,
    epoch: 2_000_004,
  })
  expect(judgeConfirmation({ asks: 'ours', known: { incarnation: 1, epoch: 1_000_009 }, heard })).toMatchObject({
    restored: true,
  })
})

test('what is on record for this start stays confirmed', () => {
  const known = { incarnation: 3, epoch: 3_000_001, confirmedNonce: 'ours' }
  expect(judgeConfirmation({ asks: 'ours', known, heard: undefined })).toEqual({ state: 'Confirmed' })
  expect(judgeConfirmation({ asks: 'a later start', known, heard }).state).toBe('AwaitingConfirmation')
})

test('numbers that cannot be ours are not believed', () => {
  const tooLarge = { ...heard, incarnation: Number.MAX_SAFE_INTEGER }
  expect(judgeConfirmation({ asks: 'ours', known: {}, heard: tooLarge }).state).toBe('Implausible')
  const ahead = { ...heard, epoch: 3 * blockSize }
  expect(judgeConfirmation({ asks: 'ours', known: {}, heard: ahead }).state).toBe('Implausible')
})

test('however often one side starts, crashes and is restored, no epoch is given twice', () => {
  const event = fc.oneof(
    fc.record({ what: fc.constant('grant' as const) }),
    fc.record({ what: fc.constant('start' as const) }),
    fc.record({ what: fc.constant('restore' as const), back: fc.nat({ max: 20 }) }),
  )
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      type State = { incarnation?: number; epoch?: number; confirmedNonce?: string }
      const saved: State[] = [{}]
      let known: State = {}
      let told: Told | undefined
      let starts = 0
      let asks = 'start0'
      const given = new Set<number>()
      const write = (next: State) => {
        known = next
        saved.push(next)
      }
      for (const happening of events) {
        if (happening.what === 'grant') {
          const own = { asks, ownIncarnation: known.incarnation ?? 0 }
          const said = nextConfirmation({ ...base, heard: own, told, asks: 'peer' })
          told = said.told
          const judged = judgeConfirmation({ asks, known, heard: said.body })
          if (judged.state === 'New') {
            const { incarnation, epoch, confirmedNonce } = judged
            write({ incarnation, epoch, confirmedNonce })
          }
          expect(known.confirmedNonce).toBe(asks)
          const epoch = nextEpoch(known)
          expect(epoch).toBeDefined()
          if (epoch === undefined) return
          write({ ...known, epoch })
          expect(given.has(epoch)).toBe(false)
          given.add(epoch)
        } else {
          if (happening.what === 'restore') known = saved[Math.max(0, saved.length - 1 - happening.back)] ?? {}
          asks = `start${++starts}`
        }
      }
    }),
  )
})
