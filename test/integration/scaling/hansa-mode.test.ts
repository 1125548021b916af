import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { type Installation, startInstallation, systemNamespace } from '../../cluster/hansa/installation.ts'
import { type Hands, startHands } from '../operator/hands.ts'
import { model, namespace, reader, service, tenant } from '../operator/objects.ts'
import { type Load, startLoad } from './load.ts'

let installation: Installation | undefined
let hands: Hands | undefined
const it = () => {
  if (hands === undefined || installation === undefined) throw new Error('the installation did not start')
  return { ...hands, installation }
}
const timeout = 300_000
const name = 'digits'

beforeAll(async () => {
  installation = await startInstallation({
    name: 'scaling',
    nodes: 1,
    values: { 'operator.replicas': '1', 'gateway.replicas': '2' },
  })
  hands = await startHands(installation)
  await it().apply(...tenant(reader))
  await it().apply(
    await model('digits', 'digits/v1'),
    service(name, 'digits', {
      scaling: {
        ...{ minReplicas: 1, maxReplicas: 3, targetInFlight: 4, holdSeconds: 60 },
        ...{ scaleUpWindowSeconds: 2, scaleDownWindowSeconds: 4, idleSeconds: 3 },
      },
    }),
  )
  await it().ready(name)
})
afterAll(async () => {
  await installation?.stop()
})

const wanted = async () => z.int().parse((await it().seen(name)).status.desiredReplicas)

const has = (count: number) =>
  it().eventually(`${count} workers`, async () => {
    const { status } = await it().seen(name)
    const workers = await it().workers(name)
    if (status.desiredReplicas === count && status.readyReplicas === count && workers.length === count) return true
    throw new Error(JSON.stringify({ ...status, conditions: undefined, workers: workers.length }))
  })

/** Twenty users who ask without a pause, until it is stopped. */
async function load(url?: string): Promise<Load> {
  const { installation: at } = it()
  return startLoad({
    url: `${url ?? at.gatewayUrl}/${namespace}/${name}`,
    caPem: await at.trustPem(),
    token: await at.token(reader, namespace),
    users: 20,
  })
}

const podSchema = z.object({
  items: z.array(z.object({ metadata: z.object({ name: z.string() }), status: z.object({ podIP: z.string() }) })),
})

async function podsOf(component: string): Promise<{ name: string; ip: string }[]> {
  const { items } = podSchema.parse(
    JSON.parse(
      await it().kubectl(
        ...['get', 'pods', '-n', systemNamespace, '-l', `app.kubernetes.io/component=${component}`, '-o', 'json'],
      ),
    ),
  )
  return items.map(({ metadata, status }) => ({ name: metadata.name, ip: status.podIP }))
}

function signal(pod: string, container: string, what: NodeJS.Signals): void {
  const found = it().installation.nodes.some((node) => node.killContainer(systemNamespace, pod, container, what))
  if (!found) throw new Error(`container ${container} of ${pod} does not run`)
}

/** A metric of the operator that leads. */
async function metric(pattern: RegExp): Promise<number | undefined> {
  const [operator] = await podsOf('operator')
  const text = await (await fetch(`http://${operator?.ip}:8081/metrics`)).text()
  const value = pattern.exec(text)?.[1]
  return value === undefined ? undefined : Number(value)
}

test('load makes workers, quiet removes them one window later, and both are told', { timeout }, async () => {
  const users = await load()
  await has(3)
  expect(await metric(/hansa_operator_wanted_replicas\{namespace="lifecycle",service="digits"\} (\d+)/)).toBe(3)
  const answered = await users.stop()
  await has(1)
  expect(answered.other).toEqual({})
  expect(answered.ok).toBeGreaterThan(100)
  const events = await it().events('inferenceservice', name)
  expect(events).toContain('Normal ScaledUp')
  expect(events).toContain('Normal ScaledDown')
})

test('a silent gateway blocks scaling down and nothing else', { timeout }, async () => {
  const [silent, other] = await podsOf('gateway')
  if (silent === undefined || other === undefined) throw new Error('there are two gateways')
  signal(silent.name, 'gateway', 'SIGSTOP')
  const age = new RegExp(`hansa_operator_gateway_report_age_seconds\\{gateway="${silent.name}"\\} ([0-9.]+)`)
  await it().eventually('the silence is noticed', async () => (((await metric(age)) ?? 0) > 5 ? true : undefined))
  const users = await load(`https://${other.ip}:8443`)
  await has(3)
  await users.stop()
  // Longer than the window after which one gateway alone would have been enough to remove workers.
  const stoppedAt = (await metric(age)) ?? 0
  await it().eventually('a window has passed', async () =>
    ((await metric(age)) ?? 0) > stoppedAt + 7 ? true : undefined,
  )
  expect(await wanted()).toBe(3)
  signal(silent.name, 'gateway', 'SIGCONT')
  await has(1)
})

test('a new leader keeps the count until it knows a whole window', { timeout }, async () => {
  const users = await load()
  await has(3)
  const deployment = async () =>
    z
      .object({ items: z.array(z.object({ metadata: z.object({ generation: z.int() }) })) })
      .parse(
        JSON.parse(await it().kubectl('get', 'deployments', '-l', `hansa.dev/inference-service=${name}`, '-o', 'json')),
      )
      .items.map(({ metadata }) => metadata.generation)
  await it().patch(name, { scaling: { scaleDownWindowSeconds: 15 } })
  const before = await deployment()
  const [operator] = await podsOf('operator')
  signal(operator?.name ?? '', 'operator', 'SIGKILL')
  await users.stop()
  await it().eventually('the operator leads again', async () =>
    (await metric(/hansa_operator_wanted_replicas\{namespace="lifecycle",service="digits"\} (\d+)/)) === 3
      ? true
      : undefined,
  )
  expect(await deployment()).toEqual(before)
  await has(1)
})

test('a service without requests goes to zero, and the first requests wake it and are answered', {
  timeout,
}, async () => {
  const { revision = '' } = (await it().ready(name)).status
  await it().patch(name, { scaling: { minReplicas: 0 } })
  await has(0)
  const asleep = await it().becomes('inferenceservice', name, 'Routable', 'True', 'ScaledToZero')
  expect(asleep.seen.status.revision).toBe(revision)
  const answers = await Promise.all(Array.from({ length: 10 }, () => it().ask(name)))
  for (const answer of answers) expect(answer).toMatchObject({ status: 200, digits: [it().digit] })
  const events = await it().events('inferenceservice', name)
  expect(events).toContain('Normal ScaledToZero')
  expect(events).toContain('Normal Woken')
  await has(0)
})
