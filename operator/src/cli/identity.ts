import { identityOrders, identitySpecSchema } from '../api/identity.ts'
import { identityReasons } from '../api/identity-reasons.ts'
import type { ReasonCatalogue } from '../api/reason.ts'
import { apiVersion } from '../api/resource.ts'
import { keyIdOf } from '../federation/public-key.ts'
import { isAlreadyExists } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { isTrue } from '../kube/conditions.ts'
import { identities } from '../kube/hansa-resources.ts'
import { CliError } from './cli-error.ts'
import { exitCodes } from './exit-code.ts'
import { type Ask, plain } from './io.ts'
import { type Format, printObject } from './output.ts'
import { confirmByName } from './peer/leave.ts'
import { type Deps, fieldManager } from './peer/lookup.ts'
import { check } from './plan-model.ts'

export type CreateIdentityOptions = {
  owner: string
  cluster?: string
  federation?: string
  contact?: string
  address?: string
  dataAddress?: string
}

/** `identity create NAME`. */
export async function createIdentity(
  client: KubeClient,
  name: string,
  { owner, cluster, ...rest }: CreateIdentityOptions,
  { io, signal }: Deps,
): Promise<void> {
  const { federation, contact, address, dataAddress } = rest
  const given = { ownerId: owner, clusterName: cluster, federation, contact, address, dataAddress }
  const spec = check(identitySpecSchema, given, 'Identity')
  try {
    await client.create(
      identities,
      { apiVersion, kind: 'Identity', metadata: { name }, spec },
      { signal, fieldManager },
    )
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
    throw new CliError(exitCodes.notReady, `there is an Identity ${name} already`, 'Take another name.', error)
  }
  io.err(
    `Identity ${name} is made; the operator creates its keys in the Secret hansa-identities. Keep a backup of that Secret offline: who has lost the root key joins anew.\n`,
  )
}

const readyReasons: ReasonCatalogue = identityReasons.Ready

/** `identity show NAME`. Returns whether it is Ready. */
export async function showIdentity(
  client: KubeClient,
  { name, output }: { name: string; output: Format },
  { io, signal }: Deps,
): Promise<boolean> {
  const identity = await client.get(identities, { name }, { signal })
  if (identity === undefined) throw notFound(name)
  const { spec, status } = identity
  const ready = isTrue(status?.conditions, 'Ready')
  if (output !== 'table') {
    await printObject(io, output, identity)
    return ready
  }
  const facts: [string, string | undefined][] = [
    ['owner', spec.ownerId],
    ['cluster', spec.clusterName],
    ['federation', spec.federation],
    ['trust domain', status?.trustDomain],
    ['root key', status?.rootKey === undefined ? undefined : keyIdOf(status.rootKey)],
    ['bundle', status?.bundle === undefined ? undefined : `${status.bundle.sequence}, until ${status.bundle.notAfter}`],
    ['link', spec.address],
    ['gateway', spec.dataAddress],
    ['contact', spec.contact],
    ['frozen', spec.suspend ? 'yes' : undefined],
  ]
  const lines = [
    `Identity ${name}`,
    ...facts.flatMap(([label, value]) => (value === undefined ? [] : [`  ${label.padEnd(12)}  ${value}`])),
    ...(status?.conditions ?? []).flatMap(({ type, status: value, reason, message }) => [
      `  ${value === 'True' ? '+' : 'x'} ${type}: ${reason}${message === '' ? '' : `: ${message}`}`,
      ...(value === 'True' ? [] : [`      ${readyReasons[reason]?.remedy ?? ''}`]),
    ]),
  ]
  io.out(`${lines.map(plain).join('\n')}\n`)
  return ready
}

const said = {
  rotateRoot:
    'The operator makes the next root key, signed by the present one; peers follow with the next bundle that they get.',
  revokeKeys:
    'The operator revokes all role keys, authorities and certificates, and makes new ones; connections are cut, and peers refuse the old ones as soon as they have the next bundle.',
  revokeIdentity:
    'The operator publishes that the identity is given up; peers accept nothing of it any more. Call their admins as well.',
} as const satisfies Record<keyof typeof identityOrders, string>

/** `identity rotate-root|revoke-keys|revoke NAME`: one order to the operator. */
export async function orderIdentity(
  client: KubeClient,
  { name, order, yes }: { name: string; order: keyof typeof identityOrders; yes: boolean },
  { ask, io, signal }: Deps & { ask: Ask | undefined },
): Promise<void> {
  if ((await client.get(identities, { name }, { signal })) === undefined) throw notFound(name)
  if (order === 'revokeIdentity' && !yes) await confirmByName(name, ask, signal)
  const annotations = { [identityOrders[order]]: new Date(io.now()).toISOString() }
  await client.patch(identities, { name }, { metadata: { annotations } }, { signal, fieldManager })
  io.err(`${said[order]}\n`)
}

function notFound(name: string): CliError {
  return new CliError(exitCodes.notFound, `there is no Identity ${plain(name)}`, 'See kubectl get identities.hansa.dev')
}
