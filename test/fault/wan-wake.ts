import { setTimeout as sleep } from 'node:timers/promises'
import { startDelayLine } from '../cluster/hansa/delay-line.ts'
import { eventually } from '../integration/gateway/gateway-under-test.ts'
import {
  connected,
  join,
  type Lent,
  lend,
  type OwnerRig,
  openOwnerRig,
  usersService,
} from '../integration/work/owner-rig.ts'
import { quantile } from './wake-from-zero/quantile.ts'

const roundTripMs = 300
const burst = 20
// What a lease and a worker take to come up, beside the distance.
const bootMs = 200

export const promise = {
  id: 'wan-wake',
  claim: `A service without workers anywhere wakes at another owner ${roundTripMs} ms away, 200 times, with requests all the while: none is lost`,
  aim: 'no request lost in 200 wake-ups',
}

type Wake = { first: number; last: number; lost: string[] }

/**
 * Two real gateways with real TLS over a line that delays; the API servers are scripted, so that wake and sleep are told as late as over
 * that distance: a worker is gone, and known to be there, at its own gateway before the other one hears of it.
 */
export async function run(
  report: (line: string) => void,
  { cycles = 200 }: { cycles?: number } = {},
): Promise<{ figures: string; holds: boolean }> {
  const scaling = { minReplicas: 0, maxReplicas: 1, holdSeconds: 30 }
  const a = await openOwnerRig('a', { services: [usersService({ scaling })] })
  const b = await openOwnerRig('b')
  const line = await startDelayLine(b.data.address, roundTripMs / 2)
  try {
    join(a, b, a, line.address)
    const lent = lend(a, b)
    lent.remote.status = { ...lent.remote.status, readyReplicas: 0 }
    lent.changed()
    await connected(a, 'b')
    const wakes: Wake[] = []
    for (let cycle = 0; cycle < cycles; cycle += 1) {
      const wake = await wakeOnce(a, b, lent)
      wakes.push(wake)
      for (const how of wake.lost) report(`lost: ${how}`)
      if (wakes.length % 20 === 0) report(`${wakes.length} of ${cycles} wake-ups`)
    }
    return judge(wakes)
  } finally {
    await Promise.all([a.stop(), b.stop()])
    await line.close()
  }
}

/** A burst while nobody is awake, and a second one while the worker goes away again and comes back. */
async function wakeOnce(a: OwnerRig, b: OwnerRig, lent: Lent): Promise<Wake> {
  const began = performance.now()
  const first = Array.from({ length: burst / 2 }, () => ask(a))
  await wake(a, b, lent)
  const answered = await Promise.all(first)
  // The worker goes; the requester hears of it only after the way, and sends on meanwhile.
  b.cluster.pods = []
  b.cluster.changed()
  const second = Array.from({ length: burst / 2 }, () => ask(a))
  await sleep(roundTripMs / 2)
  ready(a, lent, 0)
  await wake(a, b, lent)
  const all = [...answered, ...(await Promise.all(second))]
  b.cluster.pods = []
  b.cluster.changed()
  ready(a, lent, 0)
  await eventually(async () => {
    if (!(await a.registry.metrics()).includes('ready_workers{namespace="apps",service="digits"} 0'))
      throw new Error('awake')
  })
  const times = all.flatMap(({ at }) => (at === undefined ? [] : [(at - began) / 1000]))
  return { first: Math.min(...times), last: Math.max(...times), lost: all.flatMap(({ problem }) => problem ?? []) }
}

/** A held request reaches the operator, which has the peer start a worker; its own gateway hears of it before ours. */
async function wake(a: OwnerRig, b: OwnerRig, lent: Lent): Promise<void> {
  await eventually(async () => {
    if (/gateway_held\{namespace="apps",service="digits"\} 0/.test(await a.registry.metrics()))
      throw new Error('nobody waits')
  })
  await sleep(roundTripMs / 2 + bootMs)
  const worker = await b.addWorker(lent.local.service, lent.local.namespace)
  worker.handle = (request, response) => {
    request.resume()
    request.on('end', () => response.end('awake'))
  }
  await sleep(roundTripMs / 2)
  ready(a, lent, 1)
}

function ready(a: OwnerRig, lent: Lent, readyReplicas: number): void {
  a.cluster.remoteWorks = a.cluster.remoteWorks.map((each) =>
    each.metadata.uid === lent.requestId ? { ...each, status: { ...each.status, readyReplicas } } : each,
  )
  a.cluster.changed()
}

async function ask(a: OwnerRig): Promise<{ at?: number; problem?: string }> {
  try {
    const { status, text, headers } = await a.call('/apps/digits/v2/models/digits/infer', {
      method: 'POST',
      body: '{}',
    })
    if (status !== 200 || text !== 'awake' || headers['x-hansa-owner'] !== 'b')
      return { problem: `${status} ${text.slice(0, 200)}` }
    return { at: performance.now() }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

function judge(wakes: readonly Wake[]) {
  const lost = wakes.reduce((sum, each) => sum + each.lost.length, 0)
  const at = (values: number[]) =>
    `p50 ${quantile(values, 0.5).toFixed(2)} s, p99 ${quantile(values, 0.99).toFixed(2)} s`
  const figures = `n=${wakes.length} wake-ups x ${burst} requests at ${roundTripMs} ms: ${lost} lost; first answer ${at(wakes.map(({ first }) => first))}; last answer, after a second wake-up, ${at(wakes.map(({ last }) => last))}`
  return { figures, holds: lost === 0 && wakes.length >= 1 }
}
