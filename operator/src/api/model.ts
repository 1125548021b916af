import { z } from 'zod'
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

export const modelSourceSchema = z
  .object({
    https: httpsSourceSchema.optional().meta({ description: 'Files at <url><path>.' }),
    pvc: pvcSourceSchema.optional().meta({ description: 'Files on a volume of the same namespace.' }),
    local: localSourceSchema
      .optional()
      .meta({ description: 'Files on the fetch worker, for demos and air-gapped sites.' }),
  })
  .meta({
    description: 'Where the files are; exactly one member.',
    ...rules({
      rule: '[has(self.https), has(self.pvc), has(self.local)].filter(x, x).size() == 1',
      message: 'source must have exactly one of https, pvc and local',
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
