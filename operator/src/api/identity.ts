import { z } from 'zod'
import { envelopeText, hostAndPort, ownerId, publicKey, sequence, trustDomain } from './owner-scalars.ts'
import { type CustomResource, conditionSchema } from './resource.ts'
import { listMap, rules } from './rule.ts'
import { dnsLabel } from './scalar.ts'

export const identitySpecSchema = z
  .object({
    ownerId: ownerId.meta({ description: 'Name of the owner, as it shall be called by others.' }),
    clusterName: dnsLabel
      .default('main')
      .meta({ description: 'Name of this cluster among those of the same owner, which share a root key.' }),
    federation: dnsLabel
      .default('default')
      .meta({ description: 'Federation that the identity is for; use an Identity of its own for each.' }),
    contact: z
      .string()
      .max(256)
      .optional()
      .meta({ description: 'How the admins of peers reach a person: telephone, mail. Peers see it.' }),
    address: hostAndPort.optional().meta({
      description: 'Where peers reach the link, host:port. Not set: nobody can dial us, and we dial the peers.',
    }),
    dataAddress: hostAndPort.optional().meta({ description: 'Where gateways of peers reach the gateway, host:port.' }),
    certificateSeconds: z.int().min(10).max(604_800).default(21_600).meta({
      format: 'int32',
      description: 'Lifetime of the certificates of link and gateway; renewed after a third of it.',
    }),
    roleKeySeconds: z.int().min(60).max(7_776_000).default(604_800).meta({
      format: 'int32',
      description: 'Lifetime of the role keys, which sign messages; the next one is published after half of it.',
    }),
    suspend: z.boolean().default(false).meta({
      description:
        'true freezes all foreign work of this identity: no requests out, none accepted, guest work stops. `kubectl hansa freeze` sets it.',
    }),
  })
  .meta(
    rules({
      rule: 'self.ownerId == oldSelf.ownerId && self.clusterName == oldSelf.clusterName && self.federation == oldSelf.federation',
      message: 'ownerId, clusterName and federation must not change; make another Identity',
    }),
  )

export const identityStatusSchema = z.object({
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .meta({ format: 'int64', description: 'Generation that the status is for.' }),
  trustDomain: trustDomain
    .optional()
    .meta({ description: 'Trust domain: base32 of the SHA-256 of the first root key.' }),
  rootKey: publicKey.optional().meta({ description: 'Public root key in use (SubjectPublicKeyInfo, base64).' }),
  bundle: z
    .object({
      sequence: sequence.meta({ format: 'int64', description: 'Grows with every bundle.' }),
      notAfter: z.string().max(40).meta({ format: 'date-time', description: 'When it must have been replaced.' }),
      envelope: envelopeText.meta({ description: 'The bundle, signed by the root key (DSSE), as peers get it.' }),
    })
    .optional()
    .meta({ description: 'Authorities and role keys by which peers know our link, gateway and messages.' }),
  orders: z
    .object({
      rotateRoot: z
        .string()
        .max(64)
        .optional()
        .meta({ description: 'Value of the annotation `hansa.dev/rotate-root`.' }),
      revokeKeys: z
        .string()
        .max(64)
        .optional()
        .meta({ description: 'Value of the annotation `hansa.dev/revoke-keys`.' }),
      revokeIdentity: z
        .string()
        .max(64)
        .optional()
        .meta({ description: 'Value of the annotation `hansa.dev/revoke-identity`.' }),
    })
    .optional()
    .meta({
      description: 'Orders by annotation that were carried out last: the first 64 characters of each.',
    }),
  conditions: z
    .array(conditionSchema)
    .max(16)
    .optional()
    .meta({ description: '`Ready`: keys exist and the bundle is current.', ...listMap('type') }),
})

/** Annotations that order something of the keys of an Identity, once for each new value; `kubectl hansa identity` sets them. */
export const identityOrders = {
  /** Makes the next root key, signed by the present one. */
  rotateRoot: 'hansa.dev/rotate-root',
  /** Revokes all role keys, authorities and certificates, and makes new ones. */
  revokeKeys: 'hansa.dev/revoke-keys',
  /** Gives up the identity for ever. */
  revokeIdentity: 'hansa.dev/revoke-identity',
} as const

export type IdentitySpec = z.infer<typeof identitySpecSchema>
export type IdentityStatus = z.infer<typeof identityStatusSchema>
export type OwnerIdentity = CustomResource<IdentitySpec, IdentityStatus>
