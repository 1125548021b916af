import { type ModelFile, type ModelSource, type ModelSpec, modelSpecSchema } from '../api/model.ts'
import { apiVersion } from '../api/resource.ts'
import { labelPattern, objectNameLength, relativePathPattern } from '../api/scalar.ts'
import { usageError } from './cli-error.ts'
import { type EmbeddingOptions, embeddingOf } from './embedding.ts'
import type { Io } from './io.ts'
import { printObject } from './output.ts'
import { check, planModel } from './plan-model.ts'
import { progressLine } from './source/progress-line.ts'
import type { Progress } from './source/source-file.ts'

export type ModelAddOptions = EmbeddingOptions & {
  readonly name?: string
  readonly namespace?: string
  readonly licence?: string
  readonly entrypoint?: string
  readonly file: readonly string[]
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  readonly maxBytes: number
  readonly caFile?: string
  readonly tokenFile?: string
  readonly username?: string
  readonly passwordFile?: string
  readonly endpoint?: string
  readonly credentialsSecret?: string
  readonly localPath?: string
  readonly claimName?: string
  readonly claimPath?: string
  readonly output: 'json' | 'yaml'
}

/** `model add SOURCE`: reads every file once and prints a Model with their digests and sizes. */
export async function modelAdd(source: string, options: ModelAddOptions, io: Io, signal: AbortSignal): Promise<void> {
  const plan = await planModel(source, options)
  const name = options.name ?? plan.name
  if (!labelPattern.test(name) || name.length > objectNameLength) {
    throw usageError(
      `"${name}" is no name of a Model: it must be a DNS label of at most ${objectNameLength} characters`,
      'Name it with --name.',
    )
  }
  for (const path of options.file) {
    if (!relativePathPattern.test(path)) throw usageError(`--file ${path}: must be a relative path without ".."`)
  }
  const progress = progressLine(io)
  const deps = { signal, onProgress: (step: Progress) => progress.show(step) }
  const read = await plan.read(deps).finally(() => progress.end())
  const spec = check(modelSpecSchema, modelSpec(read.source, read.files, options, io), 'Model')
  await printObject(io, options.output, {
    apiVersion,
    kind: 'Model',
    metadata: { name, ...(options.namespace === undefined ? {} : { namespace: options.namespace }) },
    spec,
  })
}

function modelSpec(source: ModelSource, files: ModelFile[], options: ModelAddOptions, io: Io): ModelSpec {
  const graphs = files.map(({ path }) => path).filter((path) => path.endsWith('.onnx'))
  if (options.format === 'ONNX' && graphs.length === 0) {
    throw usageError('none of the files ends in .onnx', 'A TrainingBundle is added with --format TrainingBundle.')
  }
  if (options.format === 'ONNX' && graphs.length > 1 && options.entrypoint === undefined) {
    throw usageError(`several files end in .onnx: ${graphs.join(', ')}`, 'Say which one to load with --entrypoint.')
  }
  if (options.entrypoint !== undefined && !graphs.includes(options.entrypoint)) {
    throw usageError(`--entrypoint ${options.entrypoint}: must be one of ${graphs.join(', ')}`)
  }
  const paths = files.map(({ path }) => path)
  const embedding = embeddingOf(paths, options, io)
  return {
    format: options.format,
    source,
    files,
    ...(options.entrypoint === undefined ? {} : { entrypoint: options.entrypoint }),
    ...(embedding === undefined ? {} : { embedding }),
    ...(options.licence === undefined ? {} : { licence: options.licence }),
  }
}
