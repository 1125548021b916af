import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { type Client, credentials, loadPackageDefinition, Metadata } from '@grpc/grpc-js'
import { load } from '@grpc/proto-loader'
import { z } from 'zod'
import { condition, type Seen } from '../cluster/hansa/conditions.ts'
import { repository } from '../cluster/hansa/images.ts'
import type { Installation } from '../cluster/hansa/installation.ts'
import { type DigitsClient, digitsClient, heldOutDigits } from './ask.ts'
import { ready, steadyLoad } from './disturbances.ts'
import { namespace } from './namespace.ts'
import { progress } from './progress.ts'
import { eventually } from './wait.ts'

type Look = (name?: string) => Promise<Seen | undefined>
type Patch = (name: string, spec: unknown) => Promise<void>

/** Runs `kubectl hansa` as the administrator of the demo's cluster, and returns what it prints. */
function hansa({ owner }: Installation, ...args: string[]): Promise<string> {
  const options = { timeout: 60_000, env: { ...process.env, KUBECONFIG: owner.kubeconfigPath } }
  const cli = join(repository, 'operator/src/cli/main.ts')
  return new Promise((done, fail) => {
    execFile(process.execPath, [cli, ...args], options, (error, stdout, stderr) => {
      if (error === null) done(stdout.trim())
      else fail(new Error(`kubectl hansa ${args.join(' ')}: ${stderr}`))
    })
  })
}

/** Makes a key, asks with it, revokes it, and asks again. */
export async function accessKey(installation: Installation, url: string): Promise<string> {
  const key = await hansa(installation, 'key', 'create', 'demo', '--service', 'digits', '-n', namespace)
  const client = digitsClient({ caPem: await installation.trustPem(), token: key })
  const [sample] = await heldOutDigits()
  const answers = (status: number) =>
    eventually(`the key gets ${status}`, async () => {
      const answer = await client.ask(url, sample === undefined ? [] : [sample])
      return answer.status === status ? true : undefined
    })
  await answers(200)
  await hansa(installation, 'key', 'revoke', 'demo', '-n', namespace)
  const revokedAt = performance.now()
  await answers(401)
  await client.close()
  return `200 with the key, 401 within ${((performance.now() - revokedAt) / 1000).toFixed(1)} s of its revocation`
}

const inferAnswer = z.object({
  model_name: z.string(),
  outputs: z.array(z.object({ name: z.string(), shape: z.array(z.coerce.number()) })),
  raw_output_contents: z.array(z.instanceof(Buffer)),
})

/** Asks the same pictures over gRPC and over REST. */
export async function overGrpc(installation: Installation, url: string, client: DigitsClient): Promise<string> {
  const samples = (await heldOutDigits()).slice(0, 16)
  const definition = await load(join(repository, 'operator/proto/open-inference.proto'), { keepCase: true })
  // The proto file declares this service; loadPackageDefinition cannot know it by type.
  const { inference } = loadPackageDefinition(definition) as unknown as {
    inference: { GRPCInferenceService: typeof Client }
  }
  const grpc = new inference.GRPCInferenceService(
    new URL(installation.gatewayGrpcUrl).host,
    credentials.createSsl(Buffer.from(await installation.trustPem())),
  )
  const metadata = new Metadata()
  metadata.set('authorization', `Bearer ${await installation.token('reader', namespace)}`)
  const pixels = Buffer.from(new Float32Array(samples.flatMap(({ image }) => image)).buffer)
  const message = {
    model_name: `${namespace}/digits`,
    inputs: [{ name: 'image', datatype: 'FP32', shape: [samples.length, 64] }],
    raw_input_contents: [pixels],
  }
  const answer = await new Promise<unknown>((done, fail) => {
    const call = Reflect.get(grpc, 'ModelInfer') as (...args: unknown[]) => void // a method of the loaded service
    call.call(grpc, message, metadata, { deadline: Date.now() + 20_000 }, (error: Error | null, value: unknown) =>
      error === null ? done(value) : fail(error),
    )
  }).finally(() => grpc.close())
  const { outputs, raw_output_contents: contents } = inferAnswer.parse(answer)
  const at = outputs.findIndex(({ name }) => name === 'digit')
  const raw = contents[at]
  if (raw === undefined) throw new Error('the answer has no output digit')
  const digits = Array.from({ length: samples.length }, (_, i) => Number(raw.readBigInt64LE(8 * i)))
  const rest = await client.ask(url, samples)
  if (digits.join() !== rest.digits.join()) throw new Error(`gRPC read ${digits.join()}, REST ${rest.digits.join()}`)
  return `${samples.length} pictures read as over REST`
}

/** Waits until a service has no workers, then asks twenty times at once. */
export async function wakeFromZero(
  url: string,
  client: DigitsClient,
  look: Look,
  apply: (file: string) => Promise<void>,
): Promise<string> {
  await apply('digits-zero.yaml')
  await ready(() => look('digits-zero'))
  progress('  waiting for ten quiet seconds, after which it has no worker')
  await eventually(
    'the service has no worker',
    async () => {
      const seen = await look('digits-zero')
      const reason = condition(seen, 'WorkersReady')?.reason
      if (reason === 'ScaledToZero' && seen?.status.replicas === 0) return true
      throw new Error(`${reason}, ${seen?.status.replicas} workers`)
    },
    { seconds: 90 },
  )
  const [sample] = await heldOutDigits()
  const target = url.replace(/digits$/, 'digits-zero')
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => client.ask(target, sample === undefined ? [] : [sample])),
  )
  const failed = answers.filter(({ status }) => status !== 200)
  if (failed.length > 0)
    throw new Error(`${failed.length} of 20 failed, first: ${failed[0]?.status} ${failed[0]?.error}`)
  const slowest = Math.max(...answers.map(({ milliseconds }) => milliseconds))
  return `20 requests at once found no worker; all answered after ${(slowest / 1000).toFixed(1)} s`
}

/** Tries a version that answers otherwise, as a canary whose answers are compared: it must be rolled back by itself. */
export async function rollBack(url: string, client: DigitsClient, look: Look, patch: Patch): Promise<string> {
  const before = await look()
  const stop = steadyLoad(client, url)
  await patch('digits', {
    modelRef: { name: 'digits-v1' },
    rollout: {
      strategy: 'Canary',
      steps: [
        { percent: 0, seconds: 60 }, // only copies of requests go to it
        { percent: 50, seconds: 60 },
      ],
      analysis: { windowSeconds: 10, minRequests: 20 },
      mirror: { permille: 500, tolerance: '0.001', maxDisagreementPermille: 50 },
    },
  })
  const verdict = await eventually(
    'the canary is rolled back',
    async () => {
      const found = condition(await look(), 'RolledOut')
      if (found?.status === 'False') return found
      throw new Error(`${found?.reason}: ${found?.message}`)
    },
    { seconds: 90 },
  )
  const sent = await stop()
  const after = await look()
  if (verdict.reason !== 'Disagrees') throw new Error(`rolled back, but as ${verdict.reason}: ${verdict.message}`)
  if (after?.status.revision !== before?.status.revision) throw new Error('the revision that serves changed')
  await patch('digits', { modelRef: { name: 'digits-v2' }, rollout: null })
  await ready(look)
  return `${verdict.reason}: ${verdict.message}; ${sent} requests meanwhile, 0 failed`
}
