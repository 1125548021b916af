import { condition, read } from '../cluster/hansa/conditions.ts'
import { repository } from '../cluster/hansa/images.ts'
import type { Installation } from '../cluster/hansa/installation.ts'
import { accuracy } from './accuracy.ts'
import { type DigitsClient, digitsClient, heldOutDigits } from './ask.ts'
import { killWorker, ready, rollOut, serveAlone } from './disturbances.ts'
import { accessKey, overGrpc, rollBack, wakeFromZero } from './full-serving.ts'
import { namespace } from './namespace.ts'
import { eventually } from './wait.ts'

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
      name: 'answers over gRPC as over REST',
      run: () => overGrpc(installation, url, client),
    },
    {
      name: 'opens with an access key until it is revoked',
      run: () => accessKey(installation, url),
    },
    {
      name: 'wakes from zero workers for a request',
      run: () => wakeFromZero(url, client, service, apply),
    },
    {
      name: 'rolls back a version that answers otherwise',
      run: () => rollBack(url, client, service, patch),
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
