import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { InferenceService } from '@hansa/operator/api/inference-service.ts'
import type { PeerLimits } from '@hansa/operator/gateway/data/limits.ts'
import { type DataPath, startDataPath } from '@hansa/operator/gateway/data/start-data-path.ts'
import type { ReceiptBook } from '@hansa/operator/gateway/receipts/receipt-book.ts'
import { type Gateway, serveGateway } from '@hansa/operator/gateway/serve-gateway.ts'
import type { ServingSettings } from '@hansa/operator/gateway/settings.ts'
import { type Authority, createAuthority } from '@hansa/operator/identity/authority.ts'
import { memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'
import { spiffe } from '@hansa/operator/identity/tls.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import type { Pod } from '@hansa/operator/kube/pod-types.ts'
import type { Tracing } from '@hansa/operator/process/tracing.ts'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { type Logger, pino } from 'pino'
import { Registry } from 'prom-client'
import { Agent, type Dispatcher, request } from 'undici'
import { identityOf, type TestOwner, testOwner } from '../../builders/federation.ts'
import { type ScriptedCluster, scriptedCluster } from './scripted-cluster.ts'
import { startTestGrpcWorker, type TestGrpcWorker } from './test-grpc-worker.ts'
import { echo, startTestWorker, type TestWorker } from './test-worker.ts'

export const trustDomain = 'test.hansa'
export const caller = { namespace: 'apps', name: 'caller' }

type Claims = Record<string, unknown>

export type Rig = {
  cluster: ScriptedCluster
  authority: Authority
  gateway: Gateway
  /** Set where the rig was started as an owner. */
  owner: TestOwner | undefined
  data: DataPath | undefined
  registry: Registry
  /** Lines of the gateway's log. */
  logLines: Record<string, unknown>[]
  stateDir: string
  settings: ServingSettings
  agent: Agent
  /** Signs with the cluster's key; claims override those of a good token, undefined removes one. */
  token(claims?: Claims, header?: { kid?: string }): Promise<string>
  addWorker(service?: string, namespace?: string, handle?: TestWorker['handle'], revision?: string): Promise<TestWorker>
  /** gRPC at a worker's address; without it nothing listens there. */
  addGrpc(worker: TestWorker, service?: string, namespace?: string): Promise<TestGrpcWorker>
  call(path: string, options?: CallOptions): Promise<Answer>
  restart(): Promise<void>
  /** Waits until the gateway's routes hold that many workers of a service. */
  stop(): Promise<void>
}

export type CallOptions = {
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  headers?: Record<string, string>
  body?: Dispatcher.RequestOptions['body']
  token?: string | null
  signal?: AbortSignal
}
export type Answer = {
  status: number
  headers: Record<string, string | string[] | undefined>
  text: string
  bytes: number
}

/** An InferenceService as the API server holds it; `spec` is merged over a default that lets `caller` in. */
export function inferenceService(
  name: string,
  namespace = 'apps',
  spec: Record<string, unknown> = {},
): InferenceService {
  return {
    apiVersion: 'hansa.dev/v1alpha1',
    kind: 'InferenceService',
    metadata: { name, namespace },
    // What the gateway reads is all here; the rest of the spec is the operator's.
    spec: {
      modelRef: { name: 'm' },
      access: { serviceAccounts: [caller] },
      ...spec,
    } as unknown as InferenceService['spec'],
    status: { traffic: [{ revision: 'r1', percent: 100 }] },
  }
}

export function workerPod(service: string, namespace: string, address: string, revision = 'r1'): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${service}-${address.replaceAll('.', '-')}`,
      namespace,
      labels: { 'hansa.dev/inference-service': service, 'hansa.dev/revision': revision },
    },
    spec: { containers: [] },
    status: { podIP: address, conditions: [{ type: 'Ready', status: 'True' }] },
  }
}

let nextAddress = 0

export type RigOptions = {
  settings?: Partial<ServingSettings>
  services?: InferenceService[]
  tracing?: Tracing
  /** Starts what there is between this owner's gateway and those of peers. */
  owner?: { name: string; limits?: Partial<PeerLimits> }
  book?: ReceiptBook
  /** Instead of `logLines`. */
  log?: Logger
  /** For the line a request; `log` when left out. */
  accessLog?: Logger
}

/** A gateway with everything around it real but the API server: TLS, tokens, workers. */
export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const authority = await createAuthority({ trustDomain })
  const stateDir = await mkdtemp(join(tmpdir(), 'hansa-gateway-'))
  const cluster = scriptedCluster()
  cluster.services = options.services ?? [inferenceService('digits')]
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  cluster.jwks = [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }]
  const identity = await memoryIdentity(authority, spiffe(trustDomain, 'hansa-system', 'hansa-gateway'), {
    dnsNames: ['localhost', '127.0.0.1'],
  })
  const logLines: Record<string, unknown>[] = []
  const log: Logger =
    options.log ??
    pino({ level: 'debug', messageKey: 'message' }, { write: (line: string) => logLines.push(JSON.parse(line)) })
  const workers: TestWorker[] = []
  const grpcWorkers: TestGrpcWorker[] = []
  let workerPort = 0
  const settings: ServingSettings = {
    host: '127.0.0.1',
    stateDir,
    trustDomain,
    port: 0,
    internalPort: 0,
    probesPort: 0,
    grpcPort: 0,
    workerPort: 1,
    workerGrpcPort: 1,
    tlsFiles: undefined,
    tokenAudience: 'hansa',
    oidcIssuers: [],
    jwksMaxStaleSeconds: 3600,
    accessLogSample: 1,
    maxConnections: 1000,
    maxInFlight: 1000,
    maxStreams: 5000,
    headerSeconds: 2,
    idleSeconds: 30,
    lameDuckSeconds: 0,
    drainSeconds: 5,
    ...options.settings,
  }
  const agent = new Agent({ connect: { ca: authority.caPem }, allowH2: false, keepAliveTimeout: 10_000 })

  // Workers share one port on addresses of their own, as pods do; the first one's choice becomes the gateway's setting.
  const first = await startTestWorker({
    authority,
    uri: spiffe(trustDomain, 'apps', 'digits-worker'),
    address: loopback(),
    port: 0,
  })
  workerPort = first.port
  settings.workerPort = workerPort
  const firstGrpc = await startTestGrpcWorker({
    authority,
    uri: spiffe(trustDomain, 'apps', 'digits-worker'),
    address: loopback(),
    port: 0,
  })
  settings.workerGrpcPort = firstGrpc.port
  await firstGrpc.kill()
  await first.kill()

  const owner = options.owner === undefined ? undefined : await testOwner(options.owner.name)
  if (owner !== undefined) cluster.identities = [identityOf(owner)]
  const startOwnersDataPath = () =>
    startDataPath(
      {
        host: '127.0.0.1',
        port: 0,
        internalPort: 0,
        // Nothing listens there: these owners share no files.
        fetchUrl: 'https://127.0.0.1:1',
        trustDomain,
        limits: {
          maxStreams: 16,
          maxRequests: 256,
          bytesPerSecond: 2 ** 30,
          stallSeconds: 30,
          ...options.owner?.limits,
        },
      },
      {
        identity,
        client: cluster.client,
        startCredentials: async () => {
          if (owner === undefined) throw new Error('no owner')
          const held = { ...(await owner.certificate('gateway')), caPem: owner.authority.caPem }
          return { current: () => held, onRenewed: () => () => undefined, close: async () => undefined }
        },
        clock: systemClock,
        random: Math.random,
        log,
        registry: rig.registry,
      },
    )
  const start = async () => {
    rig.registry = new Registry()
    const dataPath = owner === undefined ? undefined : await startOwnersDataPath()
    rig.data = dataPath
    rig.gateway = await serveGateway(settings, {
      identity,
      client: cluster.client,
      log,
      registry: rig.registry,
      tracing: options.tracing,
      dataPath,
      book: options.book,
      ...(options.accessLog !== undefined && { accessLog: options.accessLog }),
    })
  }
  const rig: Rig = {
    cluster,
    authority,
    // Set by `start` below, before anyone sees the rig.
    gateway: undefined as unknown as Gateway,
    owner,
    data: undefined,
    registry: new Registry(),
    logLines,
    stateDir,
    settings,
    agent,
    token: async (claims = {}, header = {}) => {
      const seconds = Math.floor(Date.now() / 1000)
      const payload = {
        iss: cluster.issuer,
        aud: ['hansa'],
        sub: `system:serviceaccount:${caller.namespace}:${caller.name}`,
        iat: seconds,
        nbf: seconds,
        exp: seconds + 600,
        ...claims,
      }
      return new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid: 'k1', ...header }).sign(privateKey)
    },
    addWorker: async (service = 'digits', namespace = 'apps', handle = echo, revision = 'r1') => {
      const worker = await startTestWorker({
        authority,
        uri: spiffe(trustDomain, namespace, `${service}-worker`),
        address: loopback(),
        port: workerPort,
      })
      worker.handle = handle
      workers.push(worker)
      cluster.pods = [...cluster.pods, workerPod(service, namespace, worker.address, revision)]
      cluster.changed()
      await eventually(async () => {
        const metrics = await rig.registry.metrics()
        const traffic = cluster.services.find(
          ({ metadata }) => metadata.namespace === namespace && metadata.name === service,
        )?.status?.traffic
        const wanted = cluster.pods.filter(
          ({ metadata }) =>
            metadata.namespace === namespace &&
            metadata.labels?.['hansa.dev/inference-service'] === service &&
            traffic?.some((share) => share.percent > 0 && share.revision === metadata.labels?.['hansa.dev/revision']),
        ).length
        if (!metrics.includes(`hansa_gateway_ready_workers{namespace="${namespace}",service="${service}"} ${wanted}`)) {
          throw new Error('the worker is not routed yet')
        }
      })
      return worker
    },
    addGrpc: async ({ address }, service = 'digits', namespace = 'apps') => {
      const uri = spiffe(trustDomain, namespace, `${service}-worker`)
      const worker = await startTestGrpcWorker({ authority, uri, address, port: settings.workerGrpcPort })
      grpcWorkers.push(worker)
      return worker
    },
    call: async (path, { method = 'GET', headers = {}, body = null, token, signal } = {}) => {
      const bearer = token === undefined ? await rig.token() : token
      const answer = await request(`${rig.gateway.url.replace('127.0.0.1', 'localhost')}${path}`, {
        method,
        body,
        headers: { ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }), ...headers },
        dispatcher: agent,
        ...(signal === undefined ? {} : { signal }),
      })
      const text = await answer.body.text()
      return { status: answer.statusCode, headers: answer.headers, text, bytes: Buffer.byteLength(text) }
    },
    restart: async () => {
      await rig.gateway.close()
      await rig.data?.close()
      await start()
    },
    stop: async () => {
      await agent.destroy()
      await rig.gateway.close()
      await rig.data?.close()
      await Promise.all([...workers, ...grpcWorkers].map((worker) => worker.kill()))
      await rm(stateDir, { recursive: true, force: true })
    },
  }
  await start()
  return rig
}

function loopback(): string {
  nextAddress += 1
  return `127.0.${60 + (nextAddress >> 8)}.${1 + (nextAddress & 127)}`
}

/** Tries again until it works, at most 10 s. */
export async function eventually<T>(attempt: () => Promise<T> | T, seconds = 10): Promise<T> {
  const until = performance.now() + seconds * 1000
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > until) throw error
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }
}
