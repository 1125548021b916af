import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Authority } from '@hansa/operator/identity/authority.ts'
import { issueCredentials } from '@hansa/operator/identity/memory-identity.ts'
import { exportJWK, SignJWT } from 'jose'
import { onTestFinished } from 'vitest'
import { stringify } from 'yaml'
import { ensureRegistry } from '../../../cluster/assets/registry.ts'
import { startTethered } from '../../../cluster/tethered-process.ts'
import { type Hit, type ModelSource, startModelSource } from '../model-source.ts'

export const user = { username: 'reader', password: 'a password for tests' }
// bcrypt of that password, the only form that the registry reads.
const htpasswd = `${user.username}:$2a$05$zaDDb.MI/./ceZXdCu8VrejXieF.H0pEPeM6PvQvSj0D4P3SELMdO\n`

export const basic = `Basic ${Buffer.from(`${user.username}:${user.password}`).toString('base64')}`

export type Registry = {
  port: number
  /** `registry.example:<port>/<name>` */
  repository(name: string): string
  /** Requests to the token service; empty with other authentication. */
  tokens: Hit[]
  /** Value of the header Authorization for a push to this repository. */
  pusher(name: string): Promise<string | undefined>
}

export type Authentication = 'none' | 'htpasswd' | 'token'

/**
 * The CNCF distribution registry as a process of its own, by TLS under the names registry.example and localhost, with the
 * authentication that a test wants; its token service is part of this process.
 */
export async function startRegistry(
  authority: Authority,
  authentication: Authentication,
  options: { tokenSeconds?: number; realmHost?: string } = {},
): Promise<Registry> {
  const binary = await ensureRegistry()
  const folder = await mkdtemp(join(tmpdir(), 'hansa-registry-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const uri = 'spiffe://test.hansa/ns/outside/sa/registry'
  const { keyPem, certPem } = await issueCredentials(authority, uri, { dnsNames: ['registry.example', 'localhost'] })
  const path = (name: string) => join(folder, name)
  await Promise.all([
    writeFile(path('key.pem'), keyPem),
    writeFile(path('cert.pem'), certPem),
    writeFile(path('htpasswd'), htpasswd),
  ])
  const service = authentication === 'token' ? await startTokenService(authority, options) : undefined
  if (service !== undefined) await writeFile(path('jwks.json'), JSON.stringify(service.jwks))
  const auth = {
    none: {},
    htpasswd: { auth: { htpasswd: { realm: 'models', path: path('htpasswd') } } },
    token: {
      auth: {
        token: {
          realm: service?.realm,
          service: 'registry.example',
          issuer: 'issuer.example',
          jwks: path('jwks.json'),
          signingalgorithms: ['ES256'],
        },
      },
    },
  }[authentication]
  const config = {
    version: 0.1,
    log: { level: 'info', formatter: 'json' },
    storage: { filesystem: { rootdirectory: path('data') } },
    http: {
      addr: '127.0.0.1:0',
      secret: randomUUID(),
      tls: { certificate: path('cert.pem'), key: path('key.pem') },
    },
    ...auth,
  }
  await writeFile(path('config.yml'), stringify(config))
  const registry = startTethered({
    command: binary,
    args: ['serve', path('config.yml')],
    stdout: 'ignore',
    stderr: 'pipe',
    env: { PATH: process.env.PATH, OTEL_TRACES_EXPORTER: 'none' },
  })
  onTestFinished(async () => {
    registry.killGroup()
    await registry.exited
  })
  const port = await portOf(registry.child.stderr)
  return {
    port,
    repository: (name) => `registry.example:${port}/${name}`,
    tokens: service?.hits ?? [],
    pusher: async (name) => {
      if (authentication === 'htpasswd') return basic
      return service === undefined ? undefined : `Bearer ${await service.sign(name, ['pull', 'push'])}`
    },
  }
}

/** Reads on for ever, since a process whose log nobody reads stops. */
function portOf(stderr: NodeJS.ReadableStream | null): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = ''
    stderr?.on('data', (chunk) => {
      text = (text + String(chunk)).slice(-20_000)
      const port = /listening on 127\.0\.0\.1:(\d+)/.exec(text)?.[1]
      if (port !== undefined) resolve(Number(port))
    })
    stderr?.on('close', () => reject(new Error(`the registry ended: ${text}`)))
  })
}

/** A token service as registries trust it (distribution's docs/content/spec/auth/jwt.md), for one user. */
async function startTokenService(
  authority: Authority,
  { tokenSeconds = 300, realmHost = 'auth.registry.example' }: { tokenSeconds?: number; realmHost?: string },
) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const kid = randomUUID()
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' }] }
  const sign = (name: string, actions: string[]) =>
    new SignJWT({ access: [{ type: 'repository', name, actions }] })
      .setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' })
      .setIssuer('issuer.example')
      .setAudience('registry.example')
      .setSubject(user.username)
      .setJti(randomUUID())
      .setIssuedAt()
      .setNotBefore('-5s')
      .setExpirationTime(`${tokenSeconds}s`)
      .sign(privateKey)
  const source: ModelSource = await startModelSource(authority, [realmHost])
  onTestFinished(() => source.close())
  source.fallback = (request, response) => {
    const url = new URL(request.url ?? '/', 'https://token.example')
    const scope = /^repository:([a-z0-9/._-]+):pull$/.exec(url.searchParams.get('scope') ?? '')
    const known =
      request.headers.authorization === basic || request.headers.authorization === 'Bearer a-long-lived-token'
    if (url.pathname !== '/token' || !known || scope === null) {
      response.writeHead(401).end()
      return
    }
    sign(scope[1] ?? '', ['pull']).then(
      (token) => response.end(JSON.stringify({ token, expires_in: tokenSeconds })),
      () => response.writeHead(500).end(),
    )
  }
  return { jwks, sign, hits: source.hits, realm: `https://${realmHost}:${source.port}/token` }
}
