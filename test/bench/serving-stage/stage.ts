import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { resolve } from 'node:path'
import { type Authority, createAuthority } from '@hansa/operator/identity/authority.ts'
import { issueCredentials } from '@hansa/operator/identity/memory-identity.ts'
import { storeCredentials } from '@hansa/operator/identity/stored-credentials.ts'
import { spiffe } from '@hansa/operator/identity/tls.ts'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { startTethered, type TetheredProcess } from '../../cluster/tethered-process.ts'

export type StagedProcess = {
  readonly pid: number
  /** SIGKILL, as a node that fails would; resolves when it is gone. */
  kill(): Promise<void>
  /** Starts it again at the same address; resolves when it listens. */
  start(): Promise<void>
}

/** A real gateway and real workers, each a process of its own, mutual TLS between them, on loopback addresses. */
export type ServingStage = {
  restUrl: string
  grpcUrl: string
  path: string
  model: string
  token: string
  caPem: string
  /** Where the gateway's inspector listens, for its heap. */
  inspectorPort: number
  gateway: StagedProcess
  workers: StagedProcess[]
  stop(): Promise<void>
}

export type StageOptions = {
  /** Bytes of the ONNX model that the service serves. */
  model: Uint8Array
  workers: number
  limits: { requestBytes: number; responseBytes: number; queueDepth: number; inFlight: number }
  requestSeconds: number
}

const trustDomain = 'bench.hansa'
const namespace = 'bench'
const service = 'model'
const root = resolve(import.meta.dirname, '../../..')

/** Starts all in `dir`, with a state folder that lets the gateway serve while no API server can be reached. */
export async function startStage(dir: string, options: StageOptions): Promise<ServingStage> {
  const [rest, grpc, probes, inspector, nowhere, workerRest, workerGrpc] = await freePorts(7)
  const authority = await createAuthority({ trustDomain })
  const addresses = Array.from({ length: options.workers }, (_, i) => `127.0.0.${10 + i}`)
  const token = await prepareGateway(dir, authority, addresses, options)
  const running = new Set<TetheredProcess>()

  function staged(name: string, args: string[], env: Record<string, string>, address: string, port: number) {
    let current: TetheredProcess | undefined
    const start = async () => {
      const output = await open(`${dir}/${name}.log`, 'a')
      const started = startTethered({
        command: process.execPath,
        args,
        cwd: dir,
        env: { PATH: process.env.PATH ?? '', POD_NAME: name, HANSA_LOG_LEVEL: 'warn', ...env },
        stdout: output.fd,
        stderr: output.fd,
      })
      await output.close()
      current = started
      running.add(started)
      const until = performance.now() + 120_000
      while (!(await accepts(address, port))) {
        if (performance.now() > until || started.exit !== undefined) {
          throw new Error(`${name} did not start: ${(await readFile(`${dir}/${name}.log`, 'utf8')).slice(-2000)}`)
        }
        await new Promise((again) => setTimeout(again, 50))
      }
    }
    const control: StagedProcess = {
      get pid() {
        return current?.pid ?? 0
      },
      start,
      kill: async () => {
        const stopped = current
        if (stopped === undefined) return
        stopped.killGroup()
        await stopped.exited.catch(() => undefined)
        running.delete(stopped)
      },
    }
    return control
  }

  async function stop(): Promise<void> {
    await Promise.all(
      [...running].map(async (each) => {
        each.killGroup()
        await each.exited.catch(() => undefined)
      }),
    )
  }

  const common = {
    POD_NAMESPACE: 'hansa-system',
    HANSA_TRUST_DOMAIN: trustDomain,
    HANSA_CA_URL: `https://127.0.0.1:${nowhere}`,
    HANSA_CA_FILE: `${dir}/ca.pem`,
    HANSA_CA_TOKEN_FILE: `${dir}/account/token`,
  }
  try {
    const workers: StagedProcess[] = []
    for (const [i, address] of addresses.entries()) {
      const folder = `${dir}/worker-${i}`
      await prepareWorker(folder, authority, options.model)
      const env = {
        ...common,
        ...workerEnv(folder, options),
        POD_IP: address,
        HANSA_SERVE_PORT: `${workerRest}`,
        HANSA_GRPC_PORT: `${workerGrpc}`,
        HANSA_PROBES_PORT: '0',
      }
      const main = `${root}/worker-image/src/main.ts`
      workers.push(staged(`worker-${i}`, [main, 'serve'], env, address, workerGrpc))
    }
    await Promise.all(workers.map((worker) => worker.start()))
    const gateway = staged(
      'gateway',
      [`--inspect=127.0.0.1:${inspector}`, `${root}/operator/src/main.ts`, 'gateway'],
      {
        ...common,
        NODE_OPTIONS: '--max-semi-space-size=4', // as the chart sets it
        POD_IP: '127.0.0.1',
        KUBERNETES_SERVICE_HOST: '127.0.0.1',
        KUBERNETES_SERVICE_PORT: `${nowhere}`,
        HANSA_SERVICE_ACCOUNT_DIR: `${dir}/account`,
        HANSA_STATE_DIR: `${dir}/state`,
        HANSA_GATEWAY_DNS_NAMES: '127.0.0.1',
        HANSA_GATEWAY_PORT: `${rest}`,
        HANSA_GATEWAY_GRPC_PORT: `${grpc}`,
        HANSA_GATEWAY_INTERNAL_PORT: '0',
        HANSA_PROBES_PORT: `${probes}`,
        HANSA_WORKER_PORT: `${workerRest}`,
        HANSA_WORKER_GRPC_PORT: `${workerGrpc}`,
        HANSA_LAME_DUCK_SECONDS: '0',
      },
      '127.0.0.1',
      rest,
    )
    await gateway.start()
    return {
      restUrl: `https://127.0.0.1:${rest}`,
      grpcUrl: `https://127.0.0.1:${grpc}`,
      path: `/${namespace}/${service}/v2/models/${service}/infer`,
      model: `${namespace}/${service}`,
      token,
      caPem: authority.caPem,
      inspectorPort: inspector,
      gateway,
      workers,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function prepareWorker(folder: string, authority: Authority, model: Uint8Array): Promise<void> {
  await mkdir(`${folder}/model`, { recursive: true })
  await writeFile(`${folder}/model/model.onnx`, model)
  const uri = spiffe(trustDomain, namespace, `${service}-worker`)
  await storeCredentials(`${folder}/state`, await issueCredentials(authority, uri))
}

function workerEnv(folder: string, options: StageOptions): Record<string, string> {
  const sha256 = createHash('sha256').update(options.model).digest('hex')
  return {
    HANSA_STATE_DIR: `${folder}/state`,
    HANSA_MODEL_DIR: `${folder}/model`,
    HANSA_TERMINATION_LOG: `${folder}/termination`,
    HANSA_GATEWAY_URI: spiffe(trustDomain, 'hansa-system', 'hansa-gateway'),
    HANSA_CPUS: '1',
    HANSA_SESSIONS: '1',
    HANSA_SERVE: JSON.stringify({
      modelName: service,
      modelVersion: '1',
      entrypoint: 'model.onnx',
      executionProvider: { type: 'CPU', onUnavailable: 'Fail' },
      timeouts: { requestSeconds: options.requestSeconds, loadSeconds: 60, drainSeconds: 5 },
      limits: options.limits,
    }),
    HANSA_MODEL: JSON.stringify({
      namespace,
      name: service,
      uid: 'uid',
      format: 'ONNX',
      files: [{ path: 'model.onnx', sha256, sizeBytes: options.model.byteLength }],
    }),
  }
}

/** Certificate, routes and token keys of the gateway; returns a token, as large as a bound service account token. */
async function prepareGateway(
  dir: string,
  authority: Authority,
  addresses: readonly string[],
  { limits, requestSeconds }: StageOptions,
): Promise<string> {
  const names = ['', '.svc', '.svc.cluster.local'].map((suffix) => `hansa-gateway.hansa-system${suffix}`)
  const credentials = await issueCredentials(authority, spiffe(trustDomain, 'hansa-system', 'hansa-gateway'), {
    dnsNames: [...names, '127.0.0.1'],
  })
  await mkdir(`${dir}/account`, { recursive: true })
  await storeCredentials(`${dir}/state`, credentials)
  const { privateKey, publicKey } = await generateKeyPair('RS256')
  const key = { ...(await exportJWK(publicKey)), kid: 'bench', alg: 'RS256', use: 'sig' }
  const issuer = 'https://kubernetes.default.svc.cluster.local'
  const route = {
    namespace,
    service,
    serviceAccounts: [`${namespace}:caller`],
    oidc: [],
    requestSeconds,
    ...limits,
    suspended: false,
    endpoints: addresses.map((address, i) => ({ address, pod: `worker-${i}`, revision: 'r1', percent: 100 })),
  }
  const keys = { issuer, fetchedAt: Date.now(), jwks: { keys: [key] } }
  await Promise.all([
    writeFile(`${dir}/ca.pem`, authority.caPem),
    writeFile(`${dir}/state/routes.json`, JSON.stringify({ version: 1, savedAt: Date.now(), routes: [route] })),
    writeFile(`${dir}/state/jwks-cluster.json`, JSON.stringify(keys)),
    writeFile(`${dir}/account/token`, 'none'),
    writeFile(`${dir}/account/ca.crt`, authority.caPem),
    writeFile(`${dir}/account/namespace`, 'hansa-system'),
  ])
  return new SignJWT({
    'kubernetes.io': {
      namespace,
      pod: { name: 'x'.repeat(40), uid: 'x'.repeat(36) },
      serviceaccount: { name: 'caller', uid: 'x'.repeat(36) },
    },
  })
    .setProtectedHeader({ alg: 'RS256', kid: 'bench' })
    .setIssuer(issuer)
    .setAudience('hansa')
    .setSubject(`system:serviceaccount:${namespace}:caller`)
    .setIssuedAt()
    .setNotBefore('0s')
    .setExpirationTime('2h')
    .sign(privateKey)
}

function accepts(address: string, port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = connect(port, address, () => {
      socket.destroy()
      answer(true)
    })
    socket.on('error', () => answer(false))
  })
}

async function freePorts(count: 7): Promise<[number, number, number, number, number, number, number]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map(async (server) => once(server.close(), 'close')))
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0] = ports
  return [a, b, c, d, e, f, g]
}
