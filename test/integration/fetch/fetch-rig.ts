import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Authority, createAuthority } from '@hansa/operator/identity/authority.ts'
import { identityConnector } from '@hansa/operator/identity/connector.ts'
import { memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import type { ModelState } from '@hansa/worker/fetch/model-record.ts'
import { fetchSettings } from '@hansa/worker/fetch/settings.ts'
import { type Fetch, startFetch } from '@hansa/worker/fetch/start-fetch.ts'
import { Agent, type Dispatcher } from 'undici'
import { onTestFinished } from 'vitest'

const trustDomain = 'test.hansa'
export const fetchUri = `spiffe://${trustDomain}/ns/hansa-system/sa/hansa-fetch`
export const operatorUri = `spiffe://${trustDomain}/ns/hansa-system/sa/hansa-operator`

export const workerUri = (namespace: string, service = 'triage') =>
  `spiffe://${trustDomain}/ns/${namespace}/sa/${service}-worker`

export type Answer = { status: number; headers: Dispatcher.ResponseData['headers']; bytes: Buffer; json: unknown }

export type FetchRig = {
  dir: string
  authority: Authority
  fetch: () => Fetch
  /** Calls fetch as the given identity. */
  call(uri: string, method: 'GET' | 'PUT' | 'DELETE', path: string, options?: CallOptions): Promise<Answer>
  put(request: { uid: string; generation: number }): Promise<ModelState>
  /** Waits until the model is in one of the phases; fails after 20 s. */
  until(uid: string, ...phases: ModelState['phase'][]): Promise<ModelState>
  restart(env?: Record<string, string>): Promise<void>
}

type CallOptions = { body?: unknown; headers?: Record<string, string> }

/** A fetch process in this process, with real TLS and real folders, that takes addresses of names from `lookup`. */
export async function startRig(
  options: {
    env?: Record<string, string>
    lookup?: (name: string) => Promise<{ address: string; family: number }[]>
    authority?: Authority
  } = {},
): Promise<FetchRig> {
  const dir = await mkdtemp(join(tmpdir(), 'hansa-fetch-'))
  const authority = options.authority ?? (await createAuthority({ trustDomain }))
  await writeFile(join(dir, 'source-ca.pem'), authority.caPem)
  const stop = new AbortController()
  const agents = new Map<string, Agent>()
  const identity = await memoryIdentity(authority, fetchUri)
  let current: Fetch

  const start = (env: Record<string, string> = {}) =>
    startFetch(
      fetchSettings({
        HANSA_STATE_DIR: join(dir, 'state'),
        HANSA_BLOB_DIR: join(dir, 'blobs'),
        HANSA_CA_URL: 'https://unused.invalid:9443',
        HANSA_CA_TOKEN_FILE: '/nowhere',
        HANSA_TRUST_DOMAIN: trustDomain,
        POD_IP: '127.0.0.1',
        POD_NAMESPACE: 'hansa-system',
        HANSA_FETCH_PORT: '0',
        HANSA_PROBES_PORT: '0',
        HANSA_SOURCE_CA_FILE: join(dir, 'source-ca.pem'),
        HANSA_FETCH_ALLOWED_CIDRS: '127.0.0.0/8',
        HANSA_FETCH_RETRY_SECONDS: '0.05',
        ...options.env,
        ...env,
      }),
      {
        log: createLogger('fetch', 'silent'),
        signal: stop.signal,
        identity,
        lookup: options.lookup ?? (async () => [{ address: '127.0.0.1', family: 4 }]),
      },
    )

  current = await start()
  onTestFinished(async () => {
    stop.abort()
    for (const agent of agents.values()) await agent.destroy()
    await current.close()
    await rm(dir, { recursive: true, force: true })
  })

  async function agentOf(uri: string): Promise<Agent> {
    const known = agents.get(uri)
    if (known !== undefined) return known
    const agent = new Agent({ connect: identityConnector(await memoryIdentity(authority, uri), fetchUri) })
    agents.set(uri, agent)
    return agent
  }

  const rig: FetchRig = {
    dir,
    authority,
    fetch: () => current,
    async call(uri, method, path, { body, headers = {} } = {}) {
      const dispatcher = await agentOf(uri)
      const response = await dispatcher.request({
        origin: current.url,
        path,
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const bytes = Buffer.from(await response.body.arrayBuffer())
      const isJson = response.headers['content-type'] === 'application/json'
      return {
        status: response.statusCode,
        headers: response.headers,
        bytes,
        json: isJson ? JSON.parse(bytes.toString()) : undefined,
      }
    },
    async put(request) {
      const answer = await rig.call(operatorUri, 'PUT', `/v1/models/${request.uid}`, { body: request })
      if (answer.status !== 202) throw new Error(`PUT answered ${answer.status}: ${answer.bytes.toString()}`)
      // The shape is asserted by the tests that look at it.
      return answer.json as ModelState
    },
    async until(uid, ...phases) {
      const deadline = Date.now() + 20_000
      for (;;) {
        const { json } = await rig.call(operatorUri, 'GET', `/v1/models/${uid}`)
        // As above.
        const state = json as ModelState
        if (phases.includes(state.phase)) return state
        if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(state)}`)
        await new Promise((resolve) => setTimeout(resolve, 25))
      }
    },
    async restart(env) {
      for (const agent of agents.values()) await agent.destroy()
      agents.clear()
      await current.close()
      current = await start(env)
    },
  }
  return rig
}
