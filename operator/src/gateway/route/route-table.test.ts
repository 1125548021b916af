import { expect, test } from 'vitest'
import { WorkerSessions } from '../grpc/worker-sessions.ts'
import { ByteBudget } from '../hold/byte-budget.ts'
import { routeSpecSchema } from './route-spec.ts'
import { RouteTable } from './route-table.ts'

const start = Date.parse('2026-11-23T12:00:00Z')

/** Time passes only while somebody looks at it: a millisecond a look. Timers call back when they are due by then. */
function lookedAtClock() {
  let elapsed = 0
  const timers = new Map<number, { at: number; callback: () => void }>()
  let id = 0
  return {
    now: () => start + elapsed,
    monotonic: () => elapsed++,
    after(milliseconds: number, callback: () => void) {
      id += 1
      const own = id
      timers.set(own, { at: elapsed + milliseconds, callback })
      return () => timers.delete(own)
    },
    runAll() {
      for (let [first] = timers; first !== undefined; [first] = timers) {
        const [own, { at, callback }] = first
        timers.delete(own)
        elapsed = Math.max(elapsed, Math.ceil(at))
        callback()
      }
    },
  }
}

test('whenever a lease ends, also between two looks at it, its route is closed', () => {
  for (let milliseconds = 1; milliseconds < 40; milliseconds += 1) {
    const clock = lookedAtClock()
    const now = () => clock.monotonic()
    const table = new RouteTable({
      port: 1,
      now,
      random: () => 0.5,
      hold: { clock, bytes: new ByteBudget(1), onWaiting: () => undefined },
      connectorFor: () => () => undefined,
      sessionsFor: () => new WorkerSessions('10.0.0.1', { tls: () => ({}), port: 1, now }),
      onRetireError: () => undefined,
      onRemoved: () => undefined,
    })
    const expires = new Date(start + milliseconds).toISOString()
    const spec = {
      ...{ namespace: 'guests', service: 'g-1', serviceAccounts: [], oidc: [], suspended: false },
      ...{ requestSeconds: 60, requestBytes: 1, responseBytes: 1, inFlight: 1 },
      guest: { uid: 'u', lease: { epoch: 1, renewals: 0, ttlSeconds: 3600, expires } },
      endpoints: [{ address: '10.0.0.1', pod: 'p', revision: 'r', percent: 100 }],
    }
    table.replace([routeSpecSchema.parse(spec)])
    clock.runAll()
    expect(table.get('guests', 'g-1')?.allWorkers).toEqual([])
  }
})
