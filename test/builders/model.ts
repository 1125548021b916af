import { createHash } from 'node:crypto'
import {
  type Model,
  type ModelFile,
  type ModelSource,
  type ModelSpec,
  modelSpecSchema,
} from '@hansa/operator/api/model.ts'
import { apiVersion, type Condition } from '@hansa/operator/api/resource.ts'
import { type Modifier, metadata } from './object.ts'

type Change = Modifier<Model>

/**
 * A Model of format ONNX with one file `model.onnx` at an https source, as the API server would return it.
 *
 * @example model('digits-v1', withSource({ local: { path: 'digits/v1' } }), verified)
 */
export function model(name: string, ...changes: Change[]): Model {
  const built: Model = {
    apiVersion,
    kind: 'Model',
    metadata: metadata('Model', name),
    spec: modelSpecSchema.parse({
      format: 'ONNX',
      source: { https: { url: `https://models.example/${name}/` } },
      files: [fileOf('model.onnx', name)],
    }),
  }
  for (const change of changes) change(built)
  return built
}

/** A file entry with the digest and size of a content. */
export function fileOf(path: string, content: string | Uint8Array): ModelFile {
  const bytes = Buffer.from(content)
  return { path, sha256: createHash('sha256').update(bytes).digest('hex'), sizeBytes: bytes.length }
}

export function withModelSpec(spec: Partial<ModelSpec>): Change {
  return (built) => {
    built.spec = { ...built.spec, ...spec }
  }
}

export const withSource = (source: ModelSource): Change => withModelSpec({ source })
export const withFiles = (...files: ModelFile[]): Change => withModelSpec({ files })

/** Sets `Verified` and `Ready` alike. */
export function withVerdict(status: Condition['status'], reason: string, message = ''): Change {
  return (built) => {
    const common = {
      status,
      message,
      lastTransitionTime: '2026-01-01T00:00:00Z',
      observedGeneration: built.metadata.generation ?? 1,
    }
    built.status = {
      ...built.status,
      observedGeneration: built.metadata.generation ?? 1,
      conditions: [
        { type: 'Verified', reason, ...common },
        { type: 'Ready', reason: status === 'True' ? 'Ready' : reason, ...common },
      ],
    }
  }
}

export const verified: Change = withVerdict('True', 'Verified')
