import { z } from 'zod'
import { proxyUrlLength, proxyUrlPattern } from './address-patterns.ts'
import { envelopeText, hostAndPort, nonce, ownerId, publicKey, sequence, sha256, trustDomain } from './owner-scalars.ts'
import { type CustomResource, conditionSchema } from './resource.ts'
import { listMap, rules } from './rule.ts'
import { dnsLabel, objectName } from './scalar.ts'

export const joinSchema = z.object({
  role: z.enum(['Inviter', 'Accepter']).meta({ description: 'Which side of the join we are.' }),
  ownRootKey: publicKey.optional().meta({ description: 'Our public root key at the time of the join.' }),
  inviteSha256: sha256.optional().meta({ description: 'SHA-256 of the bytes of the invite.' }),
  inviterNonce: nonce.meta({ description: 'Nonce of the invite.' }),
  accepterNonce: nonce.optional().meta({ description: 'Nonce of the acceptance.' }),
  acceptanceSha256: sha256.optional().meta({ description: 'SHA-256 of the bytes of the acceptance.' }),
  expires: z.string().max(40).meta({ format: 'date-time', description: 'Until when the invite may be accepted.' }),
})

export const peerSpecSchema = z
  .object({
    identityRef: z
      .object({ name: objectName.meta({ description: 'Name of the Identity.' }) })
      .meta({ description: 'The Identity by which we know each other.' }),
    ownerId: ownerId.optional().meta({ description: 'What the other owner calls itself; absent while only invited.' }),
    clusterName: dnsLabel.optional().meta({ description: "Name of the cluster among its owner's." }),
    rootKey: publicKey.optional().meta({
      description: 'Pinned public root key of the other owner. Everything it signs later must lead back to it.',
    }),
    bundle: envelopeText.optional().meta({
      description: 'Bundle that came with the join, signed by the root key (DSSE); later ones come over the link.',
    }),
    join: joinSchema.optional().meta({ description: 'What the two sides exchanged; `kubectl hansa peer` writes it.' }),
    fingerprint: z
      .string()
      .max(39)
      .regex(/^[0-9a-f]{4}(-[0-9a-f]{4}){7}$/)
      .optional()
      .meta({
        description:
          'The fingerprint of the join as the admin of the other side read it out, typed by ours. Until it is right the Peer is not Verified and no call works.',
      }),
    dial: z.enum(['Us', 'Them', 'Both']).default('Both').meta({
      description: 'Who opens connections. Us: we dial, also for their calls. Them: they dial. Both: whoever can.',
    }),
    address: hostAndPort.optional().meta({ description: "Where we reach the other's link, host:port." }),
    dataAddress: hostAndPort.optional().meta({ description: "Where we reach the other's gateway, host:port." }),
    proxy: z
      .object({
        url: z
          .string()
          .max(proxyUrlLength)
          .regex(proxyUrlPattern)
          .meta({ description: 'HTTP proxy that knows CONNECT, http://host:port or https://host:port.' }),
        caBundle: z.string().max(65_536).optional().meta({ description: 'Authorities of an https proxy, PEM.' }),
      })
      .optional()
      .meta({ description: 'Proxy on our way out.' }),
    contact: z.string().max(256).optional().meta({ description: 'Whom to call there.' }),
    contractId: z.string().max(256).optional().meta({ description: 'The agreement between the two owners.' }),
    seesOffers: z
      .boolean()
      .default(true)
      .meta({ description: 'Whether it gets offers of the SharePolicies that name it.' }),
    suspend: z.boolean().default(false).meta({
      description:
        'true freezes this peer: guest work of it stops, nothing is asked of it, its connections are cut. `kubectl hansa peer freeze` sets it.',
    }),
  })
  .meta(
    rules(
      {
        rule: 'self.identityRef.name == oldSelf.identityRef.name',
        message: 'identityRef must not change; leave and join again',
      },
      {
        rule: '!has(oldSelf.rootKey) || (has(self.rootKey) && self.rootKey == oldSelf.rootKey)',
        message: 'rootKey must not change: a new root key is signed by the old one, or the owner joins again',
      },
      {
        rule: '!has(oldSelf.rootKey) || !has(oldSelf.join) || (has(self.join) && self.join == oldSelf.join)',
        message: 'join must not change after it was completed',
      },
    ),
  )

/** A reply of the link on one of its connections or attempts. */
const linkSchema = z.object({
  replica: z.string().max(253).meta({ description: 'Pod of our link.' }),
  connected: z.boolean().meta({ description: 'Whether it can call the peer now.' }),
  direction: z
    .enum(['Outbound', 'Inbound', 'None'])
    .meta({ description: 'Who opened the connection that its calls go over.' }),
  reason: z.string().max(128).optional().meta({ description: 'Why not, one CamelCase word.' }),
  message: z.string().max(1024).optional().meta({ description: 'Why not, for people.' }),
  protocolVersion: z
    .int()
    .min(0)
    .optional()
    .meta({ format: 'int32', description: 'Version that both sides speak; 0 when there is none.' }),
  roundTripMilliseconds: z.int().min(1).max(1000).optional().meta({
    format: 'int32',
    description:
      'Round trip that was measured, in bands: at most so long. 1, 2, 5, 10, 20, 50, 100, 200, 500, or 1000, which is also what is longer.',
  }),
  bundle: envelopeText.optional().meta({ description: 'Newest bundle that the peer sent, as it came.' }),
  confirmation: envelopeText.optional().meta({
    description: "The peer's signed word on the highest epochs and sequences it has seen of us.",
  }),
  offer: envelopeText.optional().meta({ description: 'Newest offer of the peer, as it came.' }),
  goodbye: envelopeText.optional().meta({ description: "The peer's signed word that it has left or frozen us." }),
})

export const peerStatusSchema = z.object({
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .meta({ format: 'int64', description: 'Generation that the status is for.' }),
  trustDomain: trustDomain.optional().meta({ description: "The peer's trust domain." }),
  rootKey: publicKey.optional().meta({
    description: 'Root key in use, when the pinned one was rotated; its signature by the old one was checked.',
  }),
  bundle: z
    .object({
      sequence: sequence.meta({ format: 'int64', description: 'Sequence of the bundle.' }),
      notAfter: z.string().max(40).meta({ format: 'date-time', description: 'When it expires.' }),
      envelope: envelopeText.meta({ description: 'The bundle that was checked and is in use.' }),
    })
    .optional()
    .meta({ description: "The peer's authorities and role keys." }),
  incarnation: sequence.optional().meta({
    format: 'int64',
    description:
      'Number of our state that the peer gave to this start of our operator; epochs and sequences begin a new block with it.',
  }),
  confirmedNonce: nonce.optional().meta({
    description: 'Question of the start of our operator that `incarnation` answers; another start asks again.',
  }),
  epoch: sequence.optional().meta({ format: 'int64', description: 'Highest epoch that we granted to this peer.' }),
  told: z
    .object({
      answers: nonce.meta({ description: "The peer's question." }),
      incarnation: sequence.meta({ format: 'int64', description: "Number that we gave to the peer's state." }),
    })
    .optional()
    .meta({ description: "What `statement.outgoing` answers to the peer's last question; written with it." }),
  statement: z
    .object({
      outgoing: envelopeText.optional().meta({ description: 'What we tell the peer of the epochs that we saw.' }),
      offer: envelopeText.optional().meta({ description: 'Offer that the link hands to the peer.' }),
      goodbye: envelopeText.optional().meta({ description: 'That we left or froze, for the link to hand over.' }),
    })
    .optional()
    .meta({ description: 'Signed messages for the link to hand over.' }),
  links: z
    .array(linkSchema)
    .max(16)
    .optional()
    .meta({ description: 'Connections, one entry a pod of our link, which writes it.', ...listMap('replica') }),
  conditions: z
    .array(conditionSchema)
    .max(16)
    .optional()
    .meta({
      description: '`Verified`, `Connected`, `Compatible`, and `Ready` as their sum.',
      ...listMap('type'),
    }),
})

/** Annotation of a Peer that is about to be deleted: the operator signs a goodbye that the link hands over. `kubectl hansa peer leave` sets it. */
export const leaveAnnotation = 'hansa.dev/leave'

/** Annotation that says why a Peer is frozen. `kubectl hansa peer freeze` sets it. */
export const freezeReasonAnnotation = 'hansa.dev/freeze-reason'

export type Join = z.infer<typeof joinSchema>
export type PeerSpec = z.infer<typeof peerSpecSchema>
export type PeerStatus = z.infer<typeof peerStatusSchema>
export type Peer = CustomResource<PeerSpec, PeerStatus>
