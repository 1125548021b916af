import type { OwnerIdentity } from '../../operator/src/api/identity.ts'
import type { Peer } from '../../operator/src/api/peer.ts'
import { apiVersion } from '../../operator/src/api/resource.ts'
import { signBundle } from '../../operator/src/federation/bundle.ts'
import { dateTimeOf } from '../../operator/src/federation/date-time.ts'
import { keySigner, newSigningKey } from '../../operator/src/federation/key-signer.ts'
import type { Bundle, Role } from '../../operator/src/federation/messages.ts'
import { signRotation } from '../../operator/src/federation/rotation.ts'
import type { Signer } from '../../operator/src/federation/signer.ts'
import { trustDomainOfKey } from '../../operator/src/federation/trust-domain.ts'
import { type Authority, createAuthority } from '../../operator/src/identity/authority.ts'
import { certificateRequest } from '../../operator/src/identity/request.ts'

const { signal } = new AbortController()
const hour = 3_600_000

/** An owner with real keys, whose bundle tests change at will. */
export type TestOwner = {
  root: Signer
  keys: Record<'Request' | 'Grant' | 'Receipt', Signer>
  authority: Authority
  /** The bundle of the moment; `change` is put over it, and it is signed anew with the next sequence. */
  bundle: Bundle
  envelope: string
  publish(change?: Partial<Bundle>): Promise<string>
  /** Replaces the root key, signed by the one before; publishes. */
  rotateRoot(): Promise<void>
  signerOf(role: Role): Signer
  /** PEM of a certificate of link or gateway with its key. */
  certificate(process: 'link' | 'gateway', seconds?: number): Promise<{ keyPem: string; certPem: string }>
}

/** What others know of an owner. */
export type KnownOwner = Pick<TestOwner, 'bundle' | 'envelope'> & { root: Pick<Signer, 'publicKey'> }

/** Makes an owner whose bundle is valid for a day from `now`. */
export async function testOwner(
  ownerId: string,
  options: { now?: number; clusterName?: string; address?: string } = {},
): Promise<TestOwner> {
  const { now = Date.now(), clusterName = 'main', address } = options
  const [root, request, grant, receipt] = (await Promise.all(Array.from({ length: 4 }, newSigningKey))).map(keySigner)
  if (root === undefined || request === undefined || grant === undefined || receipt === undefined) {
    throw new Error('no keys')
  }
  const trustDomain = trustDomainOfKey(root.publicKey)
  const authority = await createAuthority({ trustDomain, clock: () => new Date(now) })
  const keys = { Request: request, Grant: grant, Receipt: receipt }
  const roleKeys = (['Request', 'Grant', 'Receipt'] as const).map((role) => {
    const { keyId, publicKey } = keys[role]
    return { role, keyId, publicKey, notAfter: dateTimeOf(now + 24 * hour) }
  })
  const first: Bundle = {
    version: 1,
    ownerId,
    clusterName,
    trustDomain,
    rootKey: root.publicKey,
    rotations: [],
    sequence: 1,
    issued: dateTimeOf(now),
    notAfter: dateTimeOf(now + 24 * hour),
    authorities: [authority.caPem],
    roleKeys,
    revoked: [],
    revokedAll: false,
    ...(address !== undefined && { address }),
  }
  const owner: TestOwner = {
    root,
    keys,
    authority,
    bundle: first,
    envelope: await signBundle(first, root, signal),
    async publish(change = {}) {
      owner.bundle = { ...owner.bundle, sequence: owner.bundle.sequence + 1, ...change }
      owner.envelope = await signBundle(owner.bundle, owner.root, signal)
      return owner.envelope
    },
    async rotateRoot() {
      const next = keySigner(await newSigningKey())
      const rotation = await signRotation({ trustDomain, newKey: next.publicKey, now }, owner.root, signal)
      owner.root = next
      await owner.publish({ rootKey: next.publicKey, rotations: [...owner.bundle.rotations, rotation] })
    },
    signerOf(role) {
      if (role === 'Request' || role === 'Grant' || role === 'Receipt') return keys[role]
      throw new Error(`the owner has no key ${role}`)
    },
    async certificate(process, seconds = 3600) {
      const { keyPem, csrPem } = await certificateRequest()
      const uri = `spiffe://${trustDomain}/cluster/${clusterName}/${process}`
      const { certPem } = await authority.issue({ csrPem, uri, seconds })
      return { keyPem, certPem }
    },
  }
  return owner
}

/** The Identity object of an owner, as its operator keeps it. */
export function identityOf(owner: KnownOwner, name = 'main'): OwnerIdentity {
  const { ownerId, clusterName, trustDomain, rootKey, sequence, notAfter } = owner.bundle
  return {
    apiVersion,
    kind: 'Identity',
    metadata: { name, generation: 1 },
    spec: {
      ownerId,
      clusterName,
      federation: 'default',
      certificateSeconds: 21_600,
      roleKeySeconds: 604_800,
      suspend: false,
    },
    status: { trustDomain, rootKey, bundle: { sequence, notAfter, envelope: owner.envelope } },
  }
}

/** The Peer by which another owner knows `owner`: pinned to its first root key, verified, with its bundle of the moment. */
export function peerOf(owner: KnownOwner, name = 'peer', pinnedKey = owner.root.publicKey): Peer {
  const { ownerId, clusterName, trustDomain, sequence, notAfter } = owner.bundle
  return {
    apiVersion,
    kind: 'Peer',
    metadata: { name, generation: 1 },
    spec: {
      identityRef: { name: 'main' },
      ownerId,
      clusterName,
      rootKey: pinnedKey,
      dial: 'Both',
      seesOffers: true,
      suspend: false,
    },
    status: {
      trustDomain,
      bundle: { sequence, notAfter, envelope: owner.envelope },
      conditions: [
        {
          type: 'Verified',
          status: 'True',
          reason: 'FingerprintMatches',
          message: '',
          lastTransitionTime: dateTimeOf(Date.now()),
        },
      ],
    },
  }
}
