import { setTimeout as sleep } from 'node:timers/promises'
import { condition, read, type Seen } from '../cluster/hansa/conditions.ts'
import { repository } from '../cluster/hansa/images.ts'
import type { Installation } from '../cluster/hansa/installation.ts'
import { type DigitsClient, digitsClient, heldOutDigits } from './ask.ts'
import { progress } from './progress.ts'
import { eventually } from './wait.ts'

const namespace = 'digits'

export type Check = { name: string; run: () => Promise<string> }

/** Everything that `--once` holds Hansa to; each returns what it saw, or throws why it does not hold. */
export function checks(installation: Installation, url: string, client: DigitsClient): Check[] {
  const { owner } = installation
  const service = (name = 'digits') => read(owner, 'inferenceservice', name, namespace)
  const apply = async (file: string) => {
    const { code, stderr } = await owner.kubectl(['apply', '-f', `${repository}/examples/${file}`])
    if (code !== 0) throw new Error(stderr)
  }
  const patch = async (name: string, spec: unknown) => {
    const { code, stderr } = await owner.kubectl([
      ...['patch', 'inferenceservices.hansa.dev', name, '-n', namespace],
      ...['--type', 'merge', '-p', JSON.stringify({ spec })],
    ])
    if (code !== 0) throw new Error(stderr)
  }

  return [
    {
      name: 'reads digits it never saw',
      run: async () => `${await accuracy(client, url)} of the held-out pictures right`,
    },
    {
      name: 'refuses a call without a token',
      run: async () => {
        const stranger = digitsClient({ caPem: await installation.trustPem() })
        return refused(stranger, url, 401)
      },
    },
    {
      name: 'refuses a stranger with a valid token',
      run: async () => {
        await owner.kubectl(['create', 'serviceaccount', 'stranger', '-n', namespace])
        const token = await installation.token('stranger', namespace)
        return refused(digitsClient({ caPem: await installation.trustPem(), token }), url, 403)
      },
    },
    {
      name: 'refuses a hostile model',
      run: async () => {
        await apply('hostile.yaml')
        const verified = await eventually('the condition Verified of Model hostile is False', async () => {
          const found = condition(await read(owner, 'model', 'hostile', namespace), 'Verified')
          return found?.status === 'False' ? found : undefined
        })
        if (verified.reason !== 'ExternalDataRefused')
          throw new Error(`refused, but as ${verified.reason}: ${verified.message}`)
        const pods = await owner.kubectl([
          'get',
          'pods',
          '-n',
          namespace,
          '-l',
          'hansa.dev/inference-service=hostile',
          '-o',
          'name',
        ])
        if (pods.stdout.trim() !== '') throw new Error(`it got a worker: ${pods.stdout}`)
        return `${verified.reason}: ${verified.message}`
      },
    },
    {
      name: 'gives a worker a GPU where the nodes have one',
      run: async () => {
        await apply('digits-gpu.yaml')
        await ready(() => service('digits-gpu'))
        const answer = await client.ask(url.replace(/digits$/, 'digits-gpu'), (await heldOutDigits()).slice(0, 8))
        if (answer.status !== 200) throw new Error(`answered ${answer.status}: ${answer.error}`)
        const pods = await owner.kubectl([
          ...['get', 'pods', '-n', namespace, '-l', 'hansa.dev/inference-service=digits-gpu'],
          ...['-o', 'jsonpath={.items[0].spec.nodeName}'],
        ])
        return `runs on ${pods.stdout} (its GPU is a fake, so ONNX Runtime fell back to the CPU as the spec allows)`
      },
    },
    {
      name: 'a killed worker is replaced and every request gets an answer',
      run: () => killWorker(installation, url, client, service),
    },
    {
      name: 'rolls out a new version with no failed request',
      run: () => rollOut(url, client, service, apply, patch),
    },
    {
      name: 'keeps the old version when the new one is refused',
      run: async () => {
        const before = await service()
        await patch('digits', { modelRef: { name: 'hostile' } })
        await eventually('the service says why', async () =>
          condition(await service(), 'ModelVerified')?.reason === 'ModelRejected' ? true : undefined,
        )
        const right = await accuracy(client, url)
        const after = await service()
        if (after?.status.revision !== before?.status.revision) throw new Error('the revision that serves changed')
        await patch('digits', { modelRef: { name: 'digits-v2' } })
        await ready(service)
        return `ModelRejected in the status; revision ${after?.status.revision} went on serving (${right} right)`
      },
    },
    {
      name: 'serves with operator and API server down',
      run: () => serveAlone(installation, url, client),
    },
  ]
}

async function refused(client: DigitsClient, url: string, status: number): Promise<string> {
  const [sample] = await heldOutDigits()
  if (sample === undefined) throw new Error('there are no pictures')
  const answer = await client.ask(url, [sample])
  await client.close()
  if (answer.status !== status) throw new Error(`answered ${answer.status}, not ${status}`)
  return `${answer.status}: ${answer.error}`
}

/** Share of held-out pictures read right, in batches of 32; throws below 0.9, which no chance reaches. */
async function accuracy(client: DigitsClient, url: string): Promise<string> {
  const samples = await heldOutDigits()
  let right = 0
  for (let i = 0; i < samples.length; i += 32) {
    const batch = samples.slice(i, i + 32)
    const answer = await client.ask(url, batch)
    if (answer.status !== 200) throw new Error(`answered ${answer.status}: ${answer.error}`)
    right += batch.filter(({ digit }, j) => answer.digits[j] === digit).length
  }
  const share = right / samples.length
  if (share < 0.9) throw new Error(`only ${right} of ${samples.length} pictures right`)
  return `${(100 * share).toFixed(1)} % (${right}/${samples.length})`
}

async function ready(service: () => Promise<Seen | undefined>): Promise<void> {
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
function steadyLoad(client: DigitsClient, url: string) {
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

async function killWorker(
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

async function rollOut(
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

async function serveAlone({ owner, nodes }: Installation, url: string, client: DigitsClient): Promise<string> {
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
