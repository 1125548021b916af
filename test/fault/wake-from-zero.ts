import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '@hansa/operator/kube/client.ts'
import { clusterFromKubeConfig } from '@hansa/operator/kube/kube-config.ts'
import { type Installation, startInstallation } from '../cluster/hansa/installation.ts'
import { heldOutDigits } from '../demo/ask.ts'
import { type Hands, startHands } from '../integration/operator/hands.ts'
import { model, namespace, reader, service, tenant } from '../integration/operator/objects.ts'
import { bareLoad } from './wake-from-zero/bare-load.ts'
import { type Burst, sendBurst } from './wake-from-zero/burst.ts'
import { type PodTimes, steps, watchPodTimes } from './wake-from-zero/pod-times.ts'
import { quantile, spread } from './wake-from-zero/quantile.ts'

const burst = 20
const deadlineSeconds = 30

export const promise = {
  id: 'wake-from-zero',
  claim: `A service at zero workers answers a burst of ${burst} requests with a deadline of ${deadlineSeconds} s, 200 times in a row: none is lost`,
  aim: 'no request lost in 200 wake-ups',
}

export type Options = {
  /** Wake-ups in all; default 200. */
  readonly cycles?: number
  /** Services that sleep and wake at the same time; default 2, one for each core of a small machine. */
  readonly services?: number
}

type Wake = Burst & { service: string; steps: Record<string, number> }

/** Installs Hansa, lets services fall asleep and wakes them, again and again; about 15 minutes on two cores. */
export async function run(
  report: (line: string) => void,
  options: Options = {},
): Promise<{ figures: string; holds: boolean }> {
  const { cycles = 200, services = 2 } = options
  const loads: number[] = []
  for (let n = 0; n < Math.min(10, cycles); n++) {
    loads.push(...(await Promise.all(Array.from({ length: services }, bareLoad))))
  }
  report(`bare load of the model, ${services} at once, n=${loads.length}: ${spread(loads)}`)
  const installation = await startInstallation({
    name: 'wake',
    nodes: 1,
    values: { 'operator.replicas': '1', 'gateway.replicas': '1' },
    log: report,
  })
  const stopping = new AbortController()
  const client = createClient({
    cluster: await clusterFromKubeConfig({ path: installation.owner.kubeconfigPath }),
    userAgent: 'wake-from-zero',
  })
  const pods = watchPodTimes(client, namespace, stopping.signal)
  try {
    const hands = await startHands(installation)
    const names = await createServices(hands, services)
    const wakes: Wake[] = []
    let left = cycles
    await Promise.all(
      names.map(async (name) => {
        while (left-- > 0) {
          const wake = await wakeOnce(installation, pods, name)
          wakes.push(wake)
          for (const how of wake.lost) report(`lost: ${name}: ${how}`)
          if (wakes.length % 10 === 0 || cycles < 10) {
            report(`${wakes.length} of ${cycles} wake-ups, first answers: ${spread(wakes.map(({ first }) => first))}`)
          }
        }
      }),
    )
    return judge(wakes, loads, report)
  } finally {
    stopping.abort()
    await pods.stop()
    await client.close()
    await installation.stop()
  }
}

async function createServices(hands: Hands, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, i) => `sleeper-${i + 1}`)
  await hands.apply(...tenant(reader))
  await hands.apply(
    await model('digits', 'digits/v1'),
    ...names.map((name) =>
      service(name, 'digits', {
        scaling: { minReplicas: 0, maxReplicas: 1, idleSeconds: 1, holdSeconds: deadlineSeconds },
        timeouts: { drainSeconds: 1 },
      }),
    ),
  )
  for (const name of names) await hands.becomes('inferenceservice', name, 'ModelVerified', 'True', 'Verified')
  return names
}

async function wakeOnce(installation: Installation, pods: PodTimes, name: string): Promise<Wake> {
  await asleep(installation, pods, name)
  pods.clear(name)
  const [caPem, token, pictures] = await Promise.all([
    installation.trustPem(),
    installation.token(reader, namespace),
    heldOutDigits(),
  ])
  const began = performance.now()
  const url = `${installation.gatewayUrl}/${namespace}/${name}`
  const answered = await sendBurst({ url, caPem, token, pictures, count: burst, deadlineSeconds })
  const reached = pods.times(name)
  return {
    ...answered,
    service: name,
    steps: Object.fromEntries(steps.map((step) => [step, ((reached.get(step) ?? Number.NaN) - began) / 1_000])),
  }
}

/** Waits until not one pod of the service is left. */
async function asleep({ owner }: Installation, pods: PodTimes, name: string): Promise<void> {
  const path = `/apis/hansa.dev/v1alpha1/namespaces/${namespace}/inferenceservices/${name}`
  const deadline = performance.now() + 120_000
  while (performance.now() < deadline) {
    if (pods.count(name) === 0) {
      // The API's own shape; what is missing shows as not zero.
      const { body } = await owner.request({ path })
      const { status } = body as { status?: { desiredReplicas?: number; replicas?: number } }
      if (status?.desiredReplicas === 0 && status.replicas === 0 && pods.count(name) === 0) return
    }
    await sleep(50)
  }
  throw new Error(`${name} did not fall asleep within two minutes`)
}

function judge(wakes: readonly Wake[], loads: readonly number[], report: (line: string) => void) {
  const lost = wakes.reduce((sum, wake) => sum + wake.lost.length, 0)
  const firsts = wakes.map(({ first }) => first)
  let before = 0
  for (const step of steps) {
    const at = quantile(wakes.map((wake) => wake.steps[step] ?? Number.NaN).filter(Number.isFinite), 0.5)
    report(`${step.padEnd(9)} p50 ${at.toFixed(2)} s after the burst (+${(at - before).toFixed(2)} s)`)
    before = at
  }
  report(`last answer of a burst: ${spread(wakes.map(({ last }) => last))}`)
  const ratio = quantile(firsts, 0.5) / quantile(loads, 0.5)
  const figures = `n=${wakes.length} wake-ups x ${burst} requests: ${lost} lost; first answer ${spread(firsts)}; bare load of the model ${spread(loads)}; ${ratio.toFixed(1)} times that at p50`
  return { figures, holds: lost === 0 }
}
