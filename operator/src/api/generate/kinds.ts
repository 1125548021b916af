import type { z } from 'zod'
import { accessKeySpecSchema, accessKeyStatusSchema } from '../access-key.ts'
import { accessKeyReasons } from '../access-key-reasons.ts'
import { inferenceServiceSpecSchema, inferenceServiceStatusSchema } from '../inference-service.ts'
import { inferenceServiceReasons } from '../inference-service-reasons.ts'
import { modelSpecSchema, modelStatusSchema } from '../model.ts'
import { modelConditionReasons } from '../model-reasons.ts'
import type { ReasonCatalogue } from '../reason.ts'
import type { Rule } from '../rule.ts'
import { objectNameLength } from '../scalar.ts'

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

/** The kinds of the group, in the order of the reference. */
export const kinds: readonly Kind[] = [inferenceService, model, accessKey]
