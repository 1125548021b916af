import { createHash } from 'node:crypto'
import { type AccessKey, type AccessKeySpec, accessKeySpecSchema } from '../api/access-key.ts'
import { apiVersion } from '../api/resource.ts'
import { isAlreadyExists, isConflict } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { conditionOf } from '../kube/conditions.ts'
import { accessKeys, inferenceServices } from '../kube/hansa-resources.ts'
import type { Live } from '../kube/resource.ts'
import { CliError, usageError } from './cli-error.ts'
import { exitCodes } from './exit-code.ts'
import { type Io, plain } from './io.ts'
import { age, columns, type Format, printObject } from './output.ts'

type Deps = { io: Io; signal: AbortSignal }
type SecretDeps = Deps & {
  /** Random bytes from a cryptographic source. */
  random: (bytes: number) => Uint8Array
}
type Secret = AccessKeySpec['secrets'][number]

const mostSecrets = 4

/** `key create NAME`: writes the AccessKey and prints the key. */
export async function createKey(
  client: KubeClient,
  options: {
    name: string
    namespace: string
    service: readonly string[]
    lifeSeconds: number | undefined
    requestsPerMinute?: number
    inFlight?: number
    description?: string
    output: Format
  },
  deps: SecretDeps,
): Promise<void> {
  const { name, namespace, requestsPerMinute, inFlight, description } = options
  const services = [...new Set(options.service.flatMap((each) => each.split(',')))]
  const made = newSecret(options.lifeSeconds, deps)
  const parsed = accessKeySpecSchema.safeParse({
    services,
    secrets: [made.secret],
    limits: {
      ...(requestsPerMinute !== undefined && { requestsPerMinute }),
      ...(inFlight !== undefined && { inFlight }),
    },
    ...(description !== undefined && { description }),
  })
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw usageError(`the AccessKey would not be valid: ${issue?.path.join('.')}: ${issue?.message}`)
  }
  for (const service of services) {
    if ((await client.get(inferenceServices, { namespace, name: service }, deps)) === undefined) {
      deps.io.err(`warning: there is no InferenceService ${plain(service)} in namespace ${namespace} yet\n`)
    }
  }
  try {
    const object = { apiVersion, kind: 'AccessKey', metadata: { name, namespace }, spec: parsed.data }
    await client.create(accessKeys, object, { signal: deps.signal, fieldManager: 'kubectl-hansa' })
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
    throw new CliError(
      exitCodes.notReady,
      `there is an AccessKey ${name} in namespace ${namespace} already`,
      `For a new secret: kubectl hansa key rotate ${name} -n ${namespace}`,
      error,
    )
  }
  await hand(made, `${namespace}/${name}`, options.output, deps.io)
}

/** `key rotate NAME`: adds a secret, ends the old ones after the grace, and prints the new key. */
export async function rotateKey(
  client: KubeClient,
  options: { name: string; namespace: string; lifeSeconds: number | undefined; graceSeconds: number; output: Format },
  deps: SecretDeps,
): Promise<void> {
  const { name, namespace } = options
  const made = newSecret(options.lifeSeconds, deps)
  const live = await existing(client, options, deps.signal)
  const secrets = rotated(live.spec.secrets, made.secret, options.graceSeconds, deps.io.now())
  try {
    // With the version that was read: two who rotate at once must not undo each other.
    const patch = { metadata: { resourceVersion: live.metadata.resourceVersion }, spec: { secrets } }
    await client.patch(accessKeys, { namespace, name }, patch, { signal: deps.signal, fieldManager: 'kubectl-hansa' })
  } catch (error) {
    if (!isConflict(error)) throw error
    throw new CliError(
      exitCodes.notReady,
      `AccessKey ${name} was changed by somebody else just now`,
      'Try again.',
      error,
    )
  }
  await hand(made, `${namespace}/${name}`, options.output, deps.io)
}

/** The secrets after a rotation: what has expired goes, the rest ends with the grace at the latest; the newest are kept. */
export function rotated(before: readonly Secret[], added: Secret, graceSeconds: number, now: number): Secret[] {
  const graceEnds = now + graceSeconds * 1000
  const kept = before.flatMap((secret) => {
    const ends = Math.min(
      graceEnds,
      secret.notAfter === undefined ? Number.POSITIVE_INFINITY : Date.parse(secret.notAfter),
    )
    return ends > now ? [{ ...secret, notAfter: timestamp(ends) }] : []
  })
  return [...kept.slice(-(mostSecrets - 1)), added]
}

/** `key list`. */
export async function listKeys(
  client: KubeClient,
  options: { namespace: string; output: Format },
  { io, signal }: Deps,
): Promise<void> {
  const { items } = await client.list(accessKeys, { signal, namespace: options.namespace })
  if (options.output !== 'table') {
    await printObject(io, options.output, { apiVersion, kind: 'AccessKeyList', items })
    return
  }
  if (items.length === 0) {
    io.err(
      `There is no AccessKey in namespace ${options.namespace}. Make one: kubectl hansa key create NAME --service SERVICE\n`,
    )
    return
  }
  io.out(
    columns(
      ['NAME', 'READY', 'REASON', 'SERVICES', 'SECRETS', 'EXPIRES', 'FOR', 'AGE'],
      items.map(({ metadata, spec, status }) => {
        const ready = conditionOf(status?.conditions, 'Ready')
        return [
          metadata.name,
          ready?.status ?? 'Unknown',
          ready?.reason ?? '',
          spec.services.join(','),
          String(spec.secrets.length),
          status?.notAfter ?? 'never',
          spec.description ?? '',
          age(metadata.creationTimestamp, io.now()),
        ]
      }),
    ),
  )
}

/** `key revoke NAME`. */
export async function revokeKey(
  client: KubeClient,
  { name, namespace }: { name: string; namespace: string },
  { io, signal }: Deps,
): Promise<void> {
  if (!(await client.delete(accessKeys, { namespace, name }, { signal }))) throw notFound(name, namespace)
  io.err(`AccessKey ${namespace}/${name} is deleted; gateways refuse it within seconds.\n`)
}

async function existing(
  client: KubeClient,
  { name, namespace }: { name: string; namespace: string },
  signal: AbortSignal,
): Promise<Live<AccessKey>> {
  const live = await client.get(accessKeys, { namespace, name }, { signal })
  if (live === undefined) throw notFound(name, namespace)
  return live
}

function notFound(name: string, namespace: string): CliError {
  return new CliError(
    exitCodes.notFound,
    `there is no AccessKey ${name} in namespace ${namespace}`,
    `See kubectl hansa key list -n ${namespace}`,
  )
}

const alphabet = '0123456789abcdefghijklmnopqrstuvwxyz'

function newSecret(lifeSeconds: number | undefined, { io, random }: SecretDeps): { text: string; secret: Secret } {
  // The id only has to differ from others; 252 is the largest multiple of 36 in a byte, so no letter is more likely.
  let id = ''
  while (id.length < 16) {
    for (const byte of random(32)) if (byte < 252 && id.length < 16) id += alphabet[byte % 36]
  }
  const text = `hansa_${id}_${Buffer.from(random(32)).toString('base64url')}`
  const sha256 = createHash('sha256').update(text).digest('hex')
  const notAfter = lifeSeconds === undefined ? undefined : timestamp(io.now() + lifeSeconds * 1000)
  return { text, secret: { id, sha256, ...(notAfter !== undefined && { notAfter }) } }
}

function timestamp(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`
}

async function hand(made: { text: string; secret: Secret }, where: string, output: Format, io: Io): Promise<void> {
  const until = made.secret.notAfter
  if (output !== 'table') {
    await printObject(io, output, {
      accessKey: where,
      id: made.secret.id,
      key: made.text,
      ...(until !== undefined && { notAfter: until }),
    })
    return
  }
  io.err(
    `The key of AccessKey ${where}, accepted ${until === undefined ? 'without end' : `until ${until}`}. It is shown this once; keep it as you keep a password:\n`,
  )
  io.out(`${made.text}\n`)
}
