import type { z } from 'zod'
import { accessKeySpecSchema, accessKeyStatusSchema } from '../access-key.ts'
import { accessKeyReasons } from '../access-key-reasons.ts'
import { egressPolicySpecSchema, egressPolicyStatusSchema } from '../egress-policy.ts'
import { egressPolicyReasons } from '../egress-policy-reasons.ts'
import { guestWorkSpecSchema, guestWorkStatusSchema } from '../guest-work.ts'
import { guestWorkReasons } from '../guest-work-reasons.ts'
import { identitySpecSchema, identityStatusSchema } from '../identity.ts'
import { identityReasons } from '../identity-reasons.ts'
import { inferenceServiceSpecSchema, inferenceServiceStatusSchema } from '../inference-service.ts'
import { inferenceServiceReasons } from '../inference-service-reasons.ts'
import { modelSpecSchema, modelStatusSchema } from '../model.ts'
import { modelConditionReasons } from '../model-reasons.ts'
import { peerSpecSchema, peerStatusSchema } from '../peer.ts'
import { peerReasons } from '../peer-reasons.ts'
import type { ReasonCatalogue } from '../reason.ts'
import { remoteWorkSpecSchema, remoteWorkStatusSchema } from '../remote-work.ts'
import { remoteWorkReasons } from '../remote-work-reasons.ts'
import type { Rule } from '../rule.ts'
import { objectNameLength } from '../scalar.ts'
import { sharePolicySpecSchema, sharePolicyStatusSchema } from '../share-policy.ts'
import { sharePolicyReasons } from '../share-policy-reasons.ts'

export type Column = {
  readonly name: string
  readonly type: 'string' | 'integer' | 'date'
  readonly jsonPath: string
  readonly description: string
  /** Shown only with `-o wide`. */
  readonly wide?: boolean
}

/** Everything that a custom resource definition and its reference page need to know of a kind. */
export type Kind = {
  readonly kind: string
  readonly plural: string
  readonly shortNames: readonly string[]
  readonly scope: 'Namespaced' | 'Cluster'
  /** `hansa` for what people write, `hansa-internal` for what operators write. */
  readonly category: 'hansa' | 'hansa-internal'
  readonly description: string
  readonly spec: z.ZodType
  readonly status: z.ZodType
  readonly rootRules: readonly Rule[]
  readonly columns: readonly Column[]
  readonly scale: boolean
  readonly conditions: Readonly<Record<string, ReasonCatalogue>>
  /** What the reference page says of each condition before its reasons. */
  readonly conditionNotes: Readonly<Record<string, string>>
  /** An example below `examples/`, shown on the reference page. */
  readonly example: string
}

const nameRule: Rule = {
  rule: `size(self.metadata.name) <= ${objectNameLength} && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')`,
  message: `metadata.name must be a DNS label of at most ${objectNameLength} characters: lower-case letters, digits and dashes, a letter or digit at both ends`,
}

const condition = (type: string, field: 'status' | 'reason') => `.status.conditions[?(@.type=="${type}")].${field}`
const age: Column = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since the object was created.',
}

const model: Kind = {
  kind: 'Model',
  plural: 'models',
  shortNames: [],
  scope: 'Namespaced',
  category: 'hansa',
  description:
    'One immutable version of a model: where its files are, and the digest and size of each. A new version is a new Model.',
  spec: modelSpecSchema,
  status: modelStatusSchema,
  rootRules: [nameRule],
  columns: [
    { name: 'Ready', type: 'string', jsonPath: condition('Ready', 'status'), description: 'Whether it can be served.' },
    { name: 'Reason', type: 'string', jsonPath: condition('Ready', 'reason'), description: 'Reason of Ready.' },
    { name: 'Format', type: 'string', jsonPath: '.spec.format', description: 'Format of the files.' },
    { name: 'Bytes', type: 'integer', jsonPath: '.status.sizeBytes', description: 'Sum of the sizes of the files.' },
    age,
    { name: 'Licence', type: 'string', jsonPath: '.spec.licence', description: 'Licence of the weights.', wide: true },
  ],
  scale: false,
  conditions: modelConditionReasons,
  conditionNotes: {
    Verified: 'True when every file has its size and digest and passed the checks of `docs/models.md`.',
    Ready: 'The sum: repeats the reason and message of Verified while that is not True.',
  },
  example: 'model-https.yaml',
}

const inferenceService: Kind = {
  kind: 'InferenceService',
  plural: 'inferenceservices',
  shortNames: ['infer'],
  scope: 'Namespaced',
  category: 'hansa',
  description:
    'A model to serve: the workers that run it, their resources and limits, and who may call it. KServe has a kind of this name too: write inferenceservices.hansa.dev where both are installed.',
  spec: inferenceServiceSpecSchema,
  status: inferenceServiceStatusSchema,
  rootRules: [nameRule],
  columns: [
    {
      name: 'Ready',
      type: 'string',
      jsonPath: condition('Ready', 'status'),
      description: 'Whether it answers requests.',
    },
    { name: 'Reason', type: 'string', jsonPath: condition('Ready', 'reason'), description: 'Reason of Ready.' },
    { name: 'URL', type: 'string', jsonPath: '.status.url', description: 'Base URL.' },
    { name: 'Replicas', type: 'integer', jsonPath: '.status.replicas', description: 'Workers that exist.' },
    {
      name: 'Ready Replicas',
      type: 'integer',
      jsonPath: '.status.readyReplicas',
      description: 'Workers that are ready.',
    },
    age,
    {
      name: 'Model',
      type: 'string',
      jsonPath: '.spec.modelRef.name',
      description: 'Model that it serves.',
      wide: true,
    },
    {
      name: 'Revision',
      type: 'string',
      jsonPath: '.status.revision',
      description: 'Revision that serves.',
      wide: true,
    },
  ],
  scale: true,
  conditions: inferenceServiceReasons,
  conditionNotes: {
    ModelVerified: 'Whether the Model of `spec.modelRef` may be loaded.',
    WorkersReady: 'Whether the wanted workers of the newest revision are ready.',
    Routable:
      'Whether gateways have a ready worker to send requests to; the old revision counts until traffic has moved.',
    Ready:
      'The sum: True when the three above are True; otherwise it repeats the status, reason and message of the first that is not.',
    RolledOut:
      'Whether the newest revision has all traffic. It does not count for Ready: while a canary runs, or after it was rolled back, the old revision answers.',
  },
  example: 'inferenceservice-full.yaml',
}

const accessKey: Kind = {
  kind: 'AccessKey',
  plural: 'accesskeys',
  shortNames: [],
  scope: 'Namespaced',
  category: 'hansa',
  description:
    'A key for programs that cannot get a token: opens services of its namespace, at gateways. Only its hash is kept; `kubectl hansa key create` prints the key once.',
  spec: accessKeySpecSchema,
  status: accessKeyStatusSchema,
  rootRules: [nameRule],
  columns: [
    { name: 'Ready', type: 'string', jsonPath: condition('Ready', 'status'), description: 'Whether it is accepted.' },
    { name: 'Reason', type: 'string', jsonPath: condition('Ready', 'reason'), description: 'Reason of Ready.' },
    { name: 'Expires', type: 'string', jsonPath: '.status.notAfter', description: 'When its last secret expires.' },
    age,
    { name: 'For', type: 'string', jsonPath: '.spec.description', description: 'Who has it.', wide: true },
  ],
  scale: false,
  conditions: accessKeyReasons,
  conditionNotes: { Ready: 'Whether gateways accept the key.' },
  example: 'access-key.yaml',
}

const identity: Kind = {
  kind: 'Identity',
  plural: 'identities',
  shortNames: [],
  scope: 'Cluster',
  category: 'hansa',
  description: 'Who this cluster is in a federation: its owner, its keys, and where peers reach it. Several may exist.',
  spec: identitySpecSchema,
  status: identityStatusSchema,
  rootRules: [nameRule],
  columns: [
    { name: 'Ready', type: 'string', jsonPath: condition('Ready', 'status'), description: 'Status of Ready.' },
    { name: 'Reason', type: 'string', jsonPath: condition('Ready', 'reason'), description: 'Reason of Ready.' },
    { name: 'Owner', type: 'string', jsonPath: '.spec.ownerId', description: 'Owner.' },
    { name: 'Address', type: 'string', jsonPath: '.spec.address', description: 'Where peers dial.' },
    age,
    { name: 'Trust Domain', type: 'string', jsonPath: '.status.trustDomain', description: 'Trust domain.', wide: true },
  ],
  scale: false,
  conditions: identityReasons,
  conditionNotes: {
    Ready: 'Whether keys exist and peers can know us by them.',
  },
  example: 'identity.yaml',
}

const peer: Kind = {
  kind: 'Peer',
  plural: 'peers',
  shortNames: [],
  scope: 'Cluster',
  category: 'hansa',
  description:
    "Another owner's cluster: its pinned root key, how it is reached, and whether it is verified. `kubectl hansa peer` makes it.",
  spec: peerSpecSchema,
  status: peerStatusSchema,
  rootRules: [nameRule],
  columns: [
    { name: 'Ready', type: 'string', jsonPath: condition('Ready', 'status'), description: 'Status of Ready.' },
    { name: 'Reason', type: 'string', jsonPath: condition('Ready', 'reason'), description: 'Reason of Ready.' },
    { name: 'Owner', type: 'string', jsonPath: '.spec.ownerId', description: 'Owner.' },
    {
      name: 'Connected',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Connected")].status',
      description: 'Whether there is a connection.',
    },
    age,
    { name: 'Trust Domain', type: 'string', jsonPath: '.status.trustDomain', description: 'Trust domain.', wide: true },
  ],
  scale: false,
  conditions: peerReasons,
  conditionNotes: {
    Verified: 'Whether the pinned key is known to be the right one.',
    Connected: 'Whether the link can call the peer; Unknown when the connection is lost.',
    Compatible: 'Whether there is a common version of the protocol.',
    Recovered: 'Whether the peer has confirmed what it saw of us.',
    Ready: 'The sum: repeats the first of the others that is not True.',
  },
  example: 'peer.yaml',
}

const sharePolicy: Kind = {
  kind: 'SharePolicy',
  plural: 'sharepolicies',
  shortNames: [],
  scope: 'Cluster',
  category: 'hansa',
  description:
    'What this cluster lets peers run: which work, where, when, how much and at what price. Without one: nothing.',
  spec: sharePolicySpecSchema,
  status: sharePolicyStatusSchema,
  rootRules: [nameRule],
  columns: [
    { name: 'Ready', type: 'string', jsonPath: condition('Ready', 'status'), description: 'Status of Ready.' },
    { name: 'Reason', type: 'string', jsonPath: condition('Ready', 'reason'), description: 'Reason of Ready.' },
    { name: 'Namespace', type: 'string', jsonPath: '.spec.targetNamespace', description: 'Where guests run.' },
    { name: 'Leases', type: 'integer', jsonPath: '.status.leases', description: 'Leases now.' },
    age,
  ],
  scale: false,
  conditions: sharePolicyReasons,
  conditionNotes: {
    Ready: 'Whether requests of its peers are decided by it.',
  },
  example: 'sharepolicy.yaml',
}

const egressPolicy: Kind = {
  kind: 'EgressPolicy',
  plural: 'egresspolicies',
  shortNames: [],
  scope: 'Cluster',
  category: 'hansa',
  description: 'Which namespaces and data classes may use which peers. Additive; without one: nothing.',
  spec: egressPolicySpecSchema,
  status: egressPolicyStatusSchema,
  rootRules: [nameRule],
  columns: [
    { name: 'Ready', type: 'string', jsonPath: condition('Ready', 'status'), description: 'Status of Ready.' },
    { name: 'Reason', type: 'string', jsonPath: condition('Ready', 'reason'), description: 'Reason of Ready.' },
    age,
  ],
  scale: false,
  conditions: egressPolicyReasons,
  conditionNotes: {
    Ready: 'Whether it is in force.',
  },
  example: 'egresspolicy.yaml',
}

const remoteWork: Kind = {
  kind: 'RemoteWork',
  plural: 'remoteworks',
  shortNames: [],
  scope: 'Namespaced',
  category: 'hansa-internal',
  description: 'Work that this cluster asked a peer to run, its answer, and its lease. The operator writes it.',
  spec: remoteWorkSpecSchema,
  status: remoteWorkStatusSchema,
  rootRules: [],
  columns: [
    { name: 'Ready', type: 'string', jsonPath: condition('Ready', 'status'), description: 'Status of Ready.' },
    { name: 'Reason', type: 'string', jsonPath: condition('Ready', 'reason'), description: 'Reason of Ready.' },
    { name: 'Peer', type: 'string', jsonPath: '.spec.peerRef.name', description: 'Who is asked.' },
    {
      name: 'Ready Replicas',
      type: 'integer',
      jsonPath: '.status.readyReplicas',
      description: 'Workers that are ready there.',
    },
    age,
  ],
  scale: false,
  conditions: remoteWorkReasons,
  conditionNotes: {
    Delivered: 'Whether the peer has the request.',
    Granted: 'Whether the peer granted it; Unknown when it was not heard of in time.',
    Running: 'Whether the workers are ready there.',
    Ready: 'The sum: repeats the first of the others that is not True.',
  },
  example: 'remotework.yaml',
}

const guestWork: Kind = {
  kind: 'GuestWork',
  plural: 'guestworks',
  shortNames: [],
  scope: 'Namespaced',
  category: 'hansa-internal',
  description:
    'Work that a peer asks to run here: the signed request, our decision with all reasons, its lease and what runs. The link writes the spec, the operator the rest.',
  spec: guestWorkSpecSchema,
  status: guestWorkStatusSchema,
  rootRules: [],
  columns: [
    { name: 'Ready', type: 'string', jsonPath: condition('Ready', 'status'), description: 'Status of Ready.' },
    { name: 'Reason', type: 'string', jsonPath: condition('Ready', 'reason'), description: 'Reason of Ready.' },
    { name: 'Peer', type: 'string', jsonPath: '.spec.peerRef.name', description: 'Who asks.' },
    { name: 'Policy', type: 'string', jsonPath: '.status.policyName', description: 'SharePolicy that granted it.' },
    age,
  ],
  scale: false,
  conditions: guestWorkReasons,
  conditionNotes: {
    Authentic: 'Whether the request is really of the peer.',
    Granted: 'Whether it has a lease.',
    Running: 'Whether the workers are ready.',
    Ready: 'The sum: repeats the first of the others that is not True.',
  },
  example: 'guestwork.yaml',
}

/** The kinds of the group, in the order of the reference. */
export const kinds: readonly Kind[] = [
  inferenceService,
  model,
  accessKey,
  identity,
  peer,
  sharePolicy,
  egressPolicy,
  remoteWork,
  guestWork,
]
