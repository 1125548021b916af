import { setTimeout as sleep } from 'node:timers/promises'
import { condition, type Seen } from '../cluster/hansa/conditions.ts'
import type { Installation } from '../cluster/hansa/installation.ts'
import { accuracy } from './accuracy.ts'
import { type DigitsClient, heldOutDigits } from './ask.ts'
import { namespace } from './namespace.ts'
import { progress } from './progress.ts'
import { eventually } from './wait.ts'

/** Waits until the service is Ready with its newest revision; fails with what it said last. */
export async function ready(service: () => Promise<Seen | undefined>): Promise<void> {
  let last = 'no status yet'
  await eventually('the service is Ready', async () => {
    const seen = await service()
    const found = condition(seen, 'Ready')
    last = `${found?.reason}: ${found?.message}`
    if (found?.status === 'True' && seen?.status.revision === seen?.status.latestRevision) return true
    throw new Error(last)
  })
}

/** Sends requests one after the other on several connections until told to stop; counts every answer that is not 200. */
export function steadyLoad(client: DigitsClient, url: string) {
  let stopped = false
  let sent = 0
  const failures: string[] = []
  const lane = async () => {
    const samples = await heldOutDigits()
    for (let i = 0; !stopped; i++) {
      const batch = samples.slice(i % 300, (i % 300) + 4)
      sent += 1
      const answer = await client.ask(url, batch).catch((error: unknown) => ({ status: 0, error: String(error) }))
      if (answer.status !== 200) failures.push(`${answer.status} ${answer.error}`)
      await sleep(5)
    }
  }
  const lanes = Promise.all([lane(), lane(), lane()])
  return async () => {
    stopped = true
    await lanes
    if (failures.length > 0) throw new Error(`${failures.length} of ${sent} requests failed, first: ${failures[0]}`)
    return sent
  }
}

/** Kills a worker under load; tells how long it was gone and what became of the requests. */
export async function killWorker(
  { nodes }: Installation,
  url: string,
  client: DigitsClient,
  service: () => Promise<Seen | undefined>,
): Promise<string> {
  await ready(service)
  const victim = nodes
    .flatMap((node) => node.pods().map((pod) => ({ node, pod })))
    .find(({ pod }) => pod.namespace === namespace && /^digits-[0-9a-f]{8}-/.test(pod.name))
  if (victim === undefined) throw new Error('found no worker to kill')
  const stop = steadyLoad(client, url)
  await sleep(500)
  const killedAt = performance.now()
  await victim.node.killContainer(namespace, victim.pod.name, 'serve', 'SIGKILL')
  await eventually(
    'the service noticed',
    async () => ((await service())?.status.readyReplicas === 1 ? true : undefined),
    {
      seconds: 20,
      everyMilliseconds: 100,
    },
  )
  await ready(service)
  const seconds = (performance.now() - killedAt) / 1000
  // A request that a worker died over may fail with 502 once: it was running and must not be run twice. None may hang or be lost.
  const { sent, lost } = await stop().then(
    (count) => ({ sent: count, lost: 0 }),
    (error: unknown) => {
      const match = /^(\d+) of (\d+) requests failed, first: (50[0234]) /.exec(
        error instanceof Error ? error.message : '',
      )
      if (match === null || Number(match[1]) > 3) throw error
      return { sent: Number(match[2]), lost: Number(match[1]) }
    },
  )
  return `pod ${victim.pod.name}: back after ${seconds.toFixed(1)} s; ${sent} requests meanwhile, ${lost} interrupted and answered 50x, 0 unanswered`
}

/** Rolls out version 2 under load; throws if a request failed. */
export async function rollOut(
  url: string,
  client: DigitsClient,
  service: () => Promise<Seen | undefined>,
  apply: (file: string) => Promise<void>,
  patch: (name: string, spec: unknown) => Promise<void>,
): Promise<string> {
  const before = (await service())?.status.revision
  const stop = steadyLoad(client, url)
  await apply('digits-v2.yaml')
  await patch('digits', { modelRef: { name: 'digits-v2' } })
  await ready(service)
  await sleep(1000)
  const sent = await stop()
  const after = (await service())?.status.revision
  if (after === before) throw new Error('the revision did not change')
  return `${before} -> ${after}; ${sent} requests meanwhile, 0 failed; now ${await accuracy(client, url)} right`
}

/** Kills API server and operator, then the gateway, and asks on. */
export async function serveAlone({ owner, nodes }: Installation, url: string, client: DigitsClient): Promise<string> {
  const kill = async (name: string, container: string) => {
    for (const node of nodes) {
      for (const pod of node.pods()) {
        if (pod.name.startsWith(`hansa-${name}-`))
          await node.killContainer(pod.namespace, pod.name, container, 'SIGKILL')
      }
    }
  }
  await owner.parts.apiserver.kill()
  await kill('operator', 'operator')
  progress('  API server and operator are killed; now the gateway too')
  await accuracy(client, url)
  await kill('gateway', 'gateway')
  await eventually('the gateway answers again', async () => {
    await accuracy(client, url)
    return true
  })
  await owner.parts.apiserver.restart()
  return `gateway, killed meanwhile, answered again from its disk; API server is back`
}
