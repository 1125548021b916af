import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type InferenceService, inferenceServiceStatusSchema } from '@hansa/operator/api/inference-service.ts'
import { z } from 'zod'
import { type Installation, startInstallation } from '../../cluster/hansa/installation.ts'
import { eventually } from '../../demo/wait.ts'
import { type Load, startLoad } from './load.ts'
import { type ModelName, models } from './models.ts'

const namespace = 'rollouts'
const account = 'caller'
const apiVersion = 'hansa.dev/v1alpha1'

const serviceSchema = z.object({
  metadata: z.object({ generation: z.number(), annotations: z.record(z.string(), z.string()).optional() }),
  spec: z.looseObject({ modelRef: z.object({ name: z.string() }) }),
  status: inferenceServiceStatusSchema.default({}),
})
export type SeenService = z.infer<typeof serviceSchema>

const eventsSchema = z.object({
  items: z.array(
    z.object({
      type: z.string(),
      reason: z.string(),
      note: z.string().optional(),
      regarding: z.object({ name: z.string() }),
    }),
  ),
})

type Rollout = Partial<InferenceService['spec']['rollout']>

export type Stage = {
  readonly installation: Installation
  readonly namespace: string
  kubectl(...args: string[]): Promise<string>
  /** Makes a service of a model, and waits until it answers. */
  createService(name: string, model: ModelName, rollout: Rollout, spec?: object): Promise<void>
  patch(name: string, spec: object): Promise<void>
  use(name: string, model: ModelName): Promise<void>
  read(name: string): Promise<SeenService>
  /** Waits until the condition RolledOut of the newest generation has this reason. */
  rolledOut(name: string, reason: string, seconds?: number): Promise<SeenService>
  until(what: string, name: string, check: (seen: SeenService) => boolean, seconds?: number): Promise<SeenService>
  events(name: string): Promise<{ type: string; reason: string; note: string }[]>
  load(name: string, requestsPerSecond: number): Promise<Load>
  stop(): Promise<void>
}

/** Starts an installation with all models of these tests on a claim, verified. */
export async function startStage(options: {
  name: string
  values?: Record<string, string>
  log?: (line: string) => void
}): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'hansa-rollout-'))
  const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })]
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    for (const [name, bytes] of Object.entries(models)) {
      await mkdir(join(folder, name))
      await writeFile(join(folder, name, 'model.onnx'), bytes)
    }
    const installation = await startInstallation({ ...options, nodes: 1 })
    undo.push(() => installation.stop())
    const { owner } = installation
    const kubectl = async (args: string[], input?: string): Promise<string> => {
      const { code, stdout, stderr } = await owner.kubectl(args, {
        timeoutSeconds: 60,
        ...(input !== undefined && { input }),
      })
      if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`)
      return stdout
    }
    const apply = (...objects: object[]) =>
      kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }))
    await apply(...tenant(folder), ...Object.entries(models).map(([name, bytes]) => modelObject(name, bytes)))
    const read = async (name: string): Promise<SeenService> => {
      const path = `/apis/${apiVersion}/namespaces/${namespace}/inferenceservices/${name}`
      const { status, body } = await owner.request({ path })
      if (status !== 200) throw new Error(`${path}: HTTP ${status}`)
      return serviceSchema.parse(body)
    }
    const until: Stage['until'] = (what, name, check, seconds = 120) =>
      eventually(
        `${name}: ${what}`,
        async () => {
          const seen = await read(name)
          if (check(seen)) return seen
          throw new Error(JSON.stringify({ ...seen.status, conditions: seen.status.conditions?.map(short) }))
        },
        { seconds, everyMilliseconds: 100 },
      )
    const rolledOut: Stage['rolledOut'] = (name, reason, seconds) =>
      until(`RolledOut ${reason}`, name, (seen) => reasonOf(seen, 'RolledOut') === reason, seconds)
    const patch: Stage['patch'] = async (name, spec) => {
      await kubectl([
        '-n',
        namespace,
        'patch',
        'inferenceservices.hansa.dev',
        name,
        '--type=merge',
        '-p',
        JSON.stringify({ spec }),
      ])
    }
    return {
      installation,
      namespace,
      kubectl: (...args) => kubectl(['-n', namespace, ...args]),
      patch,
      read,
      until,
      rolledOut,
      stop,
      use: (name, model) => patch(name, { modelRef: { name: model } }),
      async createService(name, model, rollout, spec = {}) {
        await apply(serviceObject(name, model, rollout, spec))
        await until('is ready', name, (seen) => reasonOf(seen, 'Ready') === 'Ready')
      },
      async events(name) {
        const { body } = await owner.request({ path: `/apis/events.k8s.io/v1/namespaces/${namespace}/events` })
        return eventsSchema
          .parse(body)
          .items.filter(({ regarding }) => regarding.name === name)
          .map(({ type, reason, note = '' }) => ({ type, reason, note }))
      },
      load: async (name, requestsPerSecond) =>
        startLoad({
          url: `${installation.gatewayUrl}/${namespace}/${name}`,
          model: name,
          caPem: await installation.trustPem(),
          token: await installation.token(account, namespace),
          requestsPerSecond,
        }),
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The reason of a condition that the operator set for the newest generation. */
export function reasonOf({ metadata, status }: SeenService, type: string): string | undefined {
  const found = status.conditions?.find((each) => each.type === type)
  return found?.observedGeneration === metadata.generation ? found.reason : undefined
}

const short = ({ type, reason, message }: { type: string; reason: string; message: string }) =>
  `${type} ${reason}: ${message}`

function tenant(folder: string): object[] {
  const accessModes = ['ReadOnlyMany']
  const storage = '1Gi'
  return [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
    },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: account, namespace } },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `${namespace}-models` },
      spec: {
        capacity: { storage },
        accessModes,
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: '',
        hostPath: { path: folder },
        claimRef: { namespace, name: 'models' },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'models', namespace },
      spec: {
        accessModes,
        storageClassName: '',
        volumeName: `${namespace}-models`,
        resources: { requests: { storage } },
      },
    },
  ]
}

function modelObject(name: string, bytes: Buffer): object {
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return {
    apiVersion,
    kind: 'Model',
    metadata: { name, namespace },
    spec: {
      format: 'ONNX',
      source: { pvc: { claimName: 'models', path: name } },
      files: [{ path: 'model.onnx', sha256, sizeBytes: bytes.length }],
    },
  }
}

function serviceObject(name: string, model: ModelName, rollout: Rollout, spec: object): object {
  return {
    apiVersion,
    kind: 'InferenceService',
    metadata: { name, namespace },
    spec: {
      modelRef: { name: model },
      sessions: 1,
      timeouts: { loadSeconds: 60 },
      resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
      access: { serviceAccounts: [{ namespace, name: account }] },
      rollout: { strategy: 'Canary', ...rollout },
      ...spec,
    },
  }
}
