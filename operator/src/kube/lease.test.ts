import { expect, test } from 'vitest'
import { createLogger } from '../process/log.ts'
import { KubeApiError } from './api-error.ts'
import type { Lease } from './builtin.ts'
import type { KubeClient } from './client-types.ts'
import { type Leadership, runElection } from './lease.ts'
import { createManualClock } from './manual-clock.ts'
import type { Live } from './resource.ts'

const log = createLogger('test', 'silent')

/** One Lease with the API server's rules about versions; `down` says whose calls fail. */
function setUp() {
  const clock = createManualClock()
  let stored: Live<Lease> | undefined
  let version = 0
  const down = new Set<string>()
  const loseReply = new Set<string>()

  function clientOf(identity: string): KubeClient {
    const check = () => {
      if (down.has(identity)) throw new KubeApiError({ reason: 'ApiServerUnreachable', message: 'down' })
    }
    const store = (lease: Lease): Live<Lease> => {
      const metadata = { ...lease.metadata, uid: 'lease', resourceVersion: String(++version) }
      stored = { ...lease, metadata }
      if (loseReply.delete(identity)) throw new KubeApiError({ reason: 'ApiServerTimeout', message: 'lost' })
      return stored
    }
    // The election uses no other method.
    return {
      async get() {
        check()
        return stored
      },
      async create(_: unknown, lease: Lease) {
        check()
        if (stored) throw new KubeApiError({ status: 409, reason: 'AlreadyExists', message: 'exists' })
        return store(lease)
      },
      async replace(_: unknown, lease: Live<Lease>) {
        check()
        if (stored?.metadata.resourceVersion !== lease.metadata.resourceVersion) {
          throw new KubeApiError({ status: 409, reason: 'Conflict', message: 'newer' })
        }
        return store(lease)
      },
    } as unknown as KubeClient
  }

  const leaders = new Map<string, Leadership>()
  const history: string[] = []
  let overlap = 0

  function join(identity: string, lead?: (leadership: Leadership) => Promise<void>) {
    const stopping = new AbortController()
    const finished = runElection(
      { client: clientOf(identity), log, clock, random: () => 1 },
      { namespace: 'ns', name: 'operator', identity },
      async (leadership) => {
        leaders.set(identity, leadership)
        history.push(`${identity}:${leadership.token}`)
        overlap = Math.max(overlap, leaders.size)
        if (lead) await lead(leadership)
        else await new Promise<void>((resolve) => leadership.signal.addEventListener('abort', () => resolve()))
        leaders.delete(identity)
      },
      stopping.signal,
    )
    return { stop: () => stopping.abort(new Error('SIGTERM')), finished }
  }
  return { clock, join, down, loseReply, leaders, history, overlap: () => overlap, lease: () => stored }
}

test('one leads, and a clean stop hands over within 3 s', async () => {
  const { clock, join, history, overlap, lease } = setUp()
  const first = join('a')
  await clock.advance(100)
  const second = join('b')
  await clock.advance(60_000)
  expect(history).toEqual(['a:0'])
  first.stop()
  await clock.advance(3_000)
  await first.finished
  expect(history).toEqual(['a:0', 'b:1'])
  expect(overlap()).toBe(1)
  second.stop()
  await clock.advance(0)
  await second.finished
  expect(lease()?.spec).toMatchObject({ holderIdentity: '', leaseTransitions: 1 })
})

test('a dead leader is replaced within 20 s, and never while its lease runs', async () => {
  const { clock, join, history, down, leaders } = setUp()
  // A killed process: it renews no more, and nothing tells it to stop.
  join('a', () => new Promise(() => undefined))
  await clock.advance(100)
  join('b')
  await clock.advance(30_000)
  down.add('a')
  await clock.advance(12_900)
  expect(history).toEqual(['a:0'])
  await clock.advance(7_000)
  expect(history).toEqual(['a:0', 'b:1'])
  expect(leaders.get('a')?.held()).toBe(false)
})

test('a leader that cannot renew stops by itself before anybody else may lead', async () => {
  const { clock, join, down, leaders, history } = setUp()
  join('a')
  await clock.advance(10_000)
  down.add('a')
  await clock.advance(9_000)
  expect(leaders.has('a')).toBe(true)
  await clock.advance(3_000)
  expect(leaders.has('a')).toBe(false)
  down.delete('a')
  await clock.advance(5_000)
  expect(history).toEqual(['a:0', 'a:1'])
})

test('a renewal whose answer was lost does not cost the leadership', async () => {
  const { clock, join, loseReply, history, leaders } = setUp()
  join('a')
  await clock.advance(10_000)
  loseReply.add('a')
  await clock.advance(60_000)
  expect(history).toEqual(['a:0'])
  expect(leaders.get('a')?.held()).toBe(true)
})

test('of many that start at once exactly one leads', async () => {
  const { clock, join, leaders, overlap } = setUp()
  for (const identity of ['a', 'b', 'c', 'd', 'e']) join(identity)
  await clock.advance(60_000)
  expect(leaders.size).toBe(1)
  expect(overlap()).toBe(1)
})

test('the lease is not released while the leader still works', async () => {
  const { clock, join, lease } = setUp()
  let finish = () => undefined as undefined
  const first = join('a', () => new Promise((resolve) => (finish = () => void resolve())))
  await clock.advance(1_000)
  first.stop()
  await clock.advance(1_000)
  expect(lease()?.spec?.holderIdentity).toBe('a')
  finish()
  await clock.advance(0)
  await first.finished
  expect(lease()?.spec?.holderIdentity).toBe('')
})
