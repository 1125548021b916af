import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { z } from 'zod'
import type { FederatedOwner, PairAddresses } from './federation.ts'
import { systemNamespace } from './installation.ts'

const apis = '/apis/hansa.dev/v1alpha1'

/** Makes the Identity of an owner, of its own name, and waits until it is published. */
export async function createIdentity(owner: FederatedOwner, more: Record<string, unknown> = {}): Promise<void> {
  const { name, linkAddress: address, dataAddress } = owner
  const spec = { ownerId: name, contact: `admin of ${name}`, address, dataAddress, ...more }
  await owner.apply(stringify({ apiVersion: 'hansa.dev/v1alpha1', kind: 'Identity', metadata: { name }, spec }))
  await isReady(owner, `identities/${name}`)
}

/**
 * Joins two owners as their admins would: invite, acceptance and completion by files, fingerprints by telephone. Each then reaches
 * the other by the addresses given.
 */
export async function joinOwners(
  [inviter, accepter]: readonly [FederatedOwner, FederatedOwner],
  [toAccepter, toInviter]: PairAddresses,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'hansa-join-'))
  try {
    const invite = join(folder, 'invite.json')
    const acceptance = join(folder, 'acceptance.json')
    await inviter.hansa('peer', 'invite', accepter.name, '--identity', inviter.name, '--file', invite)
    await accepter.hansa(
      ...['peer', 'accept', invite, '--name', inviter.name, '--identity', accepter.name, '--file', acceptance],
      ...reach(toInviter),
    )
    await inviter.hansa('peer', 'complete', acceptance, ...reach(toAccepter))
  } finally {
    await rm(folder, { recursive: true })
  }
  const heard = {
    fromInviter: await inviter.hansa('peer', 'fingerprint', accepter.name),
    fromAccepter: await accepter.hansa('peer', 'fingerprint', inviter.name),
  }
  await Promise.all([
    inviter.hansa('peer', 'verify', accepter.name, '--fingerprint', heard.fromAccepter),
    accepter.hansa('peer', 'verify', inviter.name, '--fingerprint', heard.fromInviter),
  ])
}

/** Waits until two owners that were joined are connected. */
export async function peersReady([one, other]: readonly [FederatedOwner, FederatedOwner]): Promise<void> {
  await Promise.all([isReady(one, `peers/${other.name}`), isReady(other, `peers/${one.name}`)])
}

/** Flags by which an admin says that the other is reached elsewhere than its bundle says. */
function reach(at: PairAddresses[number] | undefined): string[] {
  return [
    ...(at?.link === undefined ? [] : ['--address', at.link]),
    ...(at?.data === undefined ? [] : ['--data-address', at.data]),
  ]
}

const seenSchema = z.object({
  status: z
    .object({
      conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() })),
    })
    .optional(),
})

async function isReady(owner: FederatedOwner, path: string, seconds = 240): Promise<void> {
  const deadline = performance.now() + seconds * 1000
  for (;;) {
    const conditions = seenSchema.parse(await owner.get(`${apis}/${path}`)).status?.conditions ?? []
    if (conditions.some(({ type, status }) => type === 'Ready' && status === 'True')) return
    if (performance.now() > deadline) {
      const said = conditions.map(({ type, status, reason, message }) => `${type}=${status} ${reason}: ${message}`)
      const logs = await owner.owner.kubectl(['logs', 'deployment/hansa-link', '-n', systemNamespace, '--tail=20'])
      throw new Error(
        `${owner.name}: ${path} is not Ready within ${seconds} s: ${said.join('; ') || 'no status'}\n${logs.stdout}`,
      )
    }
    await sleep(250)
  }
}
