import { z } from 'zod'
import { peerName, requestId } from './owner-scalars.ts'
import { type CustomResource, conditionSchema } from './resource.ts'
import { listMap, rules } from './rule.ts'
import { dnsSubdomain, objectName, relativePathOrEmptyPattern, relativePathPattern } from './scalar.ts'

export const modelFileSchema = z.object({
  path: z
    .string()
    .min(1)
    .max(255)
    .regex(relativePathPattern)
    .meta({ description: 'Relative path below the model folder; no "..", no leading dot or slash.' }),
  sha256: z
    .string()
    .max(64)
    .regex(/^[0-9a-f]{64}$/)
    .meta({ description: 'SHA-256 of the file, 64 lower-case hex digits.' }),
  sizeBytes: z.int().min(1).max(1_099_511_627_776).meta({ format: 'int64', description: 'Size of the file in bytes.' }),
})

// Host (name, IPv4 or bracketed IPv6), port, and a path of URL characters without `@`, `?`, `#` and `\`.
const folderUrlPattern =
  /^https:\/\/([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?\/([A-Za-z0-9._~!$&'()*+,;=:%-]+\/)*$/

const httpsSourceSchema = z.object({
  url: z
    .string()
    .max(2048)
    .regex(folderUrlPattern)
    .meta({
      description: 'Folder URL; must be https, end with "/", and hold no user info, query, fragment or ".." segment.',
      ...rules({
        rule: "!self.matches('/([.]|%2[eE]){1,2}/')",
        message: 'url must not have the segments "." and ".."',
      }),
    }),
  credentialsSecretName: dnsSubdomain.optional().meta({
    description:
      'Secret of the same namespace with key "token", or "username" and "password". The namespace must grant it to the fetch worker with a RoleBinding to ClusterRole hansa-source-credentials.',
  }),
})

const pvcSourceSchema = z.object({
  claimName: dnsSubdomain.meta({ description: 'PersistentVolumeClaim of the same namespace.' }),
  path: z
    .string()
    .max(255)
    .regex(relativePathOrEmptyPattern)
    .default('')
    .meta({ description: 'Folder below the root of the claim that holds the files.' }),
})

const localSourceSchema = z.object({
  path: z.string().min(1).max(255).regex(relativePathPattern).meta({
    description:
      'Folder below the local root that the cluster admin set for the fetch worker (chart value fetch.localRoot).',
  }),
})

const ociSourceSchema = z.object({
  repository: z
    .string()
    .max(512)
    .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)+$/)
    .meta({ description: 'Registry and repository, such as registry.example/models/triage.' }),
  digest: z
    .string()
    .max(71)
    .regex(/^sha256:[0-9a-f]{64}$/)
    .meta({
      description:
        'Digest of the manifest. A tag is resolved once, by `kubectl hansa model add oci://...`; it never moves a Model.',
    }),
  credentialsSecretName: dnsSubdomain.optional().meta({
    description:
      'Secret of the same namespace with key "token", or "username" and "password", granted to the fetch worker like that of https.',
  }),
})

const huggingFaceSourceSchema = z.object({
  endpoint: z
    .string()
    .max(2048)
    .regex(folderUrlPattern)
    .default('https://huggingface.co/')
    .meta({
      description: 'Base URL of the hub; must be https and end with "/".',
      ...rules({
        rule: "!self.matches('/([.]|%2[eE]){1,2}/')",
        message: 'endpoint must not have the segments "." and ".."',
      }),
    }),
  repository: z
    .string()
    .max(256)
    .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)?$/)
    .meta({ description: 'Repository, such as sentence-transformers/all-MiniLM-L6-v2.' }),
  revision: z
    .string()
    .max(40)
    .regex(/^[0-9a-f]{40}$/)
    .meta({
      description: 'Commit. A branch or tag is resolved once, by `kubectl hansa model add hf://...`.',
    }),
  credentialsSecretName: dnsSubdomain.optional().meta({
    description: 'Secret of the same namespace with key "token", granted to the fetch worker like that of https.',
  }),
})

const peerSourceSchema = z.object({
  peerName: peerName.meta({ description: 'Name of the Peer whose gateway has the files.' }),
  requestId: requestId.meta({ description: 'Id of the granted request that names them.' }),
})

/** How a model turns text into vectors; what it says is part of the model, not of a service. */
export const embeddingSchema = z.object({
  tokenizer: z
    .string()
    .min(1)
    .max(255)
    .regex(relativePathPattern)
    .default('tokenizer.json')
    .meta({ description: 'Path of the tokenizer among the files (Hugging Face tokenizer.json).' }),
  pooling: z.enum(['Mean', 'CLS', 'None']).default('Mean').meta({
    description:
      'How vectors of tokens become one: their mean, the first, or None where the graph itself answers one vector for each text.',
  }),
  normalize: z.boolean().default(true).meta({ description: 'true scales each vector to length 1.' }),
  maxTokens: z
    .int()
    .min(1)
    .max(131_072)
    .default(512)
    .meta({ format: 'int32', description: 'Longest text in tokens, special ones included.' }),
  output: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .meta({ description: 'Output of the graph to use; the first where it is not set.' }),
})

export const modelSourceSchema = z
  .object({
    https: httpsSourceSchema.optional().meta({ description: 'Files at <url><path>.' }),
    oci: ociSourceSchema.optional().meta({
      description: 'Files as layers of an OCI artifact, each named by its annotation org.opencontainers.image.title.',
    }),
    huggingFace: huggingFaceSourceSchema
      .optional()
      .meta({ description: 'Files of a commit of a Hugging Face-style repository.' }),
    pvc: pvcSourceSchema.optional().meta({ description: 'Files on a volume of the same namespace.' }),
    local: localSourceSchema
      .optional()
      .meta({ description: 'Files on the fetch worker, for demos and air-gapped sites.' }),
    peer: peerSourceSchema.optional().meta({
      description:
        'Files at the gateway of another owner, by digest. The operator sets it for guests; it opens nothing in another namespace than that of the granted request.',
    }),
  })
  .meta({
    description: 'Where the files are; exactly one member.',
    ...rules({
      rule: '[has(self.https), has(self.oci), has(self.huggingFace), has(self.pvc), has(self.local), has(self.peer)].filter(x, x).size() == 1',
      message: 'source must have exactly one of https, oci, huggingFace, pvc, local and peer',
    }),
  })

export const modelSpecSchema = z
  .object({
    format: z.enum(['ONNX', 'TrainingBundle']).meta({ description: 'ONNX to serve; TrainingBundle to train.' }),
    source: modelSourceSchema,
    files: z
      .array(modelFileSchema)
      .min(1)
      .max(256)
      .meta({
        description: 'Every file with its digest and size; `kubectl hansa model add URL` fills these in.',
        ...listMap('path'),
      }),
    entrypoint: z
      .string()
      .min(1)
      .max(255)
      .optional()
      .meta({ description: 'Path of the .onnx file to load; needed only when the files hold several.' }),
    embedding: embeddingSchema.optional().meta({
      description: 'Set for a model that turns text into vectors: its services then answer `/v1/embeddings`.',
    }),
    licence: z.string().max(128).optional().meta({ description: 'SPDX licence expression of the weights.' }),
    lineage: z
      .object({
        baseModelName: objectName.optional().meta({ description: 'Model that this one was derived from.' }),
        description: z.string().max(1024).optional().meta({ description: 'How it was made.' }),
      })
      .optional()
      .meta({ description: 'Where the model comes from.' }),
  })
  .meta(
    rules(
      { rule: 'self == oldSelf', message: 'spec must not change: a new version is a new Model' },
      {
        rule: "self.files.map(file, file.path + '/').all(folder, !self.files.exists(file, file.path.startsWith(folder)))",
        message: 'files must not have a path that is the folder of another',
      },
      {
        rule: "self.format != 'ONNX' || self.files.exists(file, file.path.endsWith('.onnx'))",
        message: 'files must have one that ends in .onnx when format is ONNX',
      },
      {
        rule: "self.format != 'ONNX' || has(self.entrypoint) || self.files.filter(file, file.path.endsWith('.onnx')).size() <= 1",
        message: 'entrypoint must be set when several files end in .onnx',
      },
      {
        rule: "!has(self.entrypoint) || (self.format == 'ONNX' && self.entrypoint.endsWith('.onnx') && self.files.exists(file, file.path == self.entrypoint))",
        message: 'entrypoint must be the path of one of the files, end in .onnx, and go with format ONNX',
      },
      {
        rule: "!has(self.embedding) || (self.format == 'ONNX' && self.files.exists(file, file.path == self.embedding.tokenizer))",
        message: 'embedding.tokenizer must be the path of one of the files, and go with format ONNX',
      },
    ),
  )

export const modelStatusSchema = z.object({
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .meta({ format: 'int64', description: 'Generation that the status is for.' }),
  sizeBytes: z.int().min(0).optional().meta({ format: 'int64', description: 'Sum of the sizes of the files.' }),
  conditions: z
    .array(conditionSchema)
    .max(16)
    .optional()
    .meta({
      description: '`Verified`: every file has its digest and is safe to load. `Ready`: it can be served.',
      ...listMap('type'),
    }),
})

export type ModelFile = z.infer<typeof modelFileSchema>
export type ModelSource = z.infer<typeof modelSourceSchema>
export type ModelSpec = z.infer<typeof modelSpecSchema>
export type ModelStatus = z.infer<typeof modelStatusSchema>
export type Model = CustomResource<ModelSpec, ModelStatus>
