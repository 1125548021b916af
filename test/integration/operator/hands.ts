import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { z } from 'zod'
import { condition, read, type Seen } from '../../cluster/hansa/conditions.ts'
import { repository } from '../../cluster/hansa/images.ts'
import type { Installation } from '../../cluster/hansa/installation.ts'
import { type Answer, digitsClient, heldOutDigits } from '../../demo/ask.ts'
import { eventually } from '../../demo/wait.ts'
import { type Manifest, namespace, reader } from './objects.ts'

const cli = join(repository, 'operator/src/cli/main.ts')

type Kind = 'model' | 'inferenceservice' | 'accesskey'

const podsSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), uid: z.string(), deletionTimestamp: z.string().optional() }),
    }),
  ),
})
const eventsSchema = z.object({
  items: z.array(z.object({ type: z.string(), reason: z.string(), regarding: z.object({ uid: z.string() }) })),
})
const withUid = z.object({ metadata: z.object({ uid: z.string() }) })

// The machine may be busy with much else; on a quiet one each wait ends after a few seconds.
const patience = { seconds: 120 }

/** What a tenant and a user do in the tests, each step one call. */
export async function startHands(installation: Installation) {
  const { owner, gatewayUrl } = installation
  const caPem = await installation.trustPem()
  const [picture] = await heldOutDigits()
  const digit = picture?.digit
  const pictures = picture === undefined ? [] : [picture]

  async function kubectl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await owner.kubectl(['-n', namespace, ...args], { timeoutSeconds: 60 })
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`)
    return stdout
  }

  async function get(path: string): Promise<unknown> {
    const { status, body } = await owner.request({ path })
    if (status !== 200) throw new Error(`${path}: HTTP ${status}`)
    return body
  }

  async function becomes(
    kind: Kind,
    name: string,
    type: string,
    status: string,
    reason: string,
  ): Promise<{ message: string; seen: Seen }> {
    return eventually(
      `${kind} ${name}: ${type}=${status} ${reason}`,
      async () => {
        const seen = await read(owner, kind, name, namespace)
        const found = condition(seen, type)
        if (seen !== undefined && found?.status === status && found.reason === reason) return { ...found, seen }
        throw new Error(JSON.stringify(seen?.status.conditions ?? 'no status'))
      },
      patience,
    )
  }

  async function ask(name: string, serviceAccount = reader): Promise<Answer> {
    const client = digitsClient({ caPem, token: await installation.token(serviceAccount, namespace) })
    return client.ask(`${gatewayUrl}/${namespace}/${name}`, pictures).finally(client.close)
  }

  return {
    kubectl,
    becomes,
    ask,
    /** Asks with a token or key of one's own. */
    async askWith(token: string, name: string): Promise<Answer> {
      const client = digitsClient({ caPem, token })
      return client.ask(`${gatewayUrl}/${namespace}/${name}`, pictures).finally(client.close)
    },
    /** Runs `kubectl hansa`. */
    hansa: (...args: string[]) =>
      new Promise<{ code: number; stdout: string; stderr: string }>((done) => {
        const options = { timeout: 60_000, env: { ...process.env, KUBECONFIG: owner.kubeconfigPath } }
        execFile(process.execPath, [cli, ...args], options, (error, stdout, stderr) => {
          done({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 128, stdout, stderr })
        })
      }),
    /** The digit that the picture of every request shows. */
    digit,
    /** kubectl's words where it shall fail. */
    async refusal(...args: string[]): Promise<string> {
      const { code, stdout, stderr } = await owner.kubectl(['-n', namespace, ...args], { timeoutSeconds: 60 })
      if (code === 0) throw new Error(`kubectl ${args.join(' ')} was not refused: ${stdout}`)
      return stderr
    },
    apply: (...objects: Manifest[]) =>
      owner
        .kubectl(['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }) })
        .then(({ code, stderr }) => {
          if (code !== 0) throw new Error(stderr)
        }),
    patch: (name: string, spec: object) =>
      kubectl('patch', 'inferenceservices.hansa.dev', name, '--type=merge', '-p', JSON.stringify({ spec })),
    seen: async (name: string): Promise<Seen> => {
      const seen = await read(owner, 'inferenceservice', name, namespace)
      if (seen === undefined) throw new Error(`there is no InferenceService ${name}`)
      return seen
    },
    ready: async (name: string): Promise<Seen> =>
      (await becomes('inferenceservice', name, 'Ready', 'True', 'Ready')).seen,
    /** Waits until a request gets this status, and returns the answer. */
    answers: (name: string, status: number, serviceAccount = reader) =>
      eventually(
        `${name} answers ${serviceAccount} with ${status}`,
        async () => {
          const answer = await ask(name, serviceAccount)
          if (answer.status === status) return answer
          throw new Error(`${answer.status}: ${answer.error}`)
        },
        patience,
      ),
    /** The pods of a service that are not about to go. */
    async workers(name: string): Promise<{ name: string; uid: string }[]> {
      const selector = encodeURIComponent(`hansa.dev/inference-service=${name}`)
      const { items } = podsSchema.parse(await get(`/api/v1/namespaces/${namespace}/pods?labelSelector=${selector}`))
      return items.map(({ metadata }) => metadata).filter(({ deletionTimestamp }) => deletionTimestamp === undefined)
    },
    /** What Hansa and the controllers of Kubernetes made for a service, as `kind/name`. */
    async children(name: string): Promise<string[]> {
      const kinds = 'deployments,replicasets,pods,serviceaccounts,networkpolicies'
      const names = await kubectl('get', kinds, '-l', `hansa.dev/inference-service=${name}`, '-o', 'name')
      return names.split('\n').filter((line) => line !== '')
    },
    /** Type and reason of the events about the object of this name that exists now. */
    async events(kind: Kind, name: string): Promise<string[]> {
      const { metadata } = withUid.parse(await get(`/apis/hansa.dev/v1alpha1/namespaces/${namespace}/${kind}s/${name}`))
      const { items } = eventsSchema.parse(await get(`/apis/events.k8s.io/v1/namespaces/${namespace}/events`))
      return items
        .filter(({ regarding }) => regarding.uid === metadata.uid)
        .map(({ type, reason }) => `${type} ${reason}`)
    },
    eventually: <T>(what: string, check: () => Promise<T | undefined>) => eventually(what, check, patience),
  }
}

export type Hands = Awaited<ReturnType<typeof startHands>>
