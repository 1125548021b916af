import { readFile } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import type { z } from 'zod'
import { type ModelFile, type ModelSource, type ModelSpec, modelSourceSchema, modelSpecSchema } from '../api/model.ts'
import { apiVersion } from '../api/resource.ts'
import { labelPattern, objectNameLength, relativePathPattern } from '../api/scalar.ts'
import { messageOf } from '../process/errors.ts'
import { usageError } from './cli-error.ts'
import { type EmbeddingOptions, embeddingOf } from './embedding.ts'
import type { Io } from './io.ts'
import { printObject } from './output.ts'
import { progressLine } from './source/progress-line.ts'

export type ModelAddOptions = EmbeddingOptions & {
  readonly name?: string
  readonly namespace?: string
  readonly licence?: string
  readonly entrypoint?: string
  readonly file: readonly string[]
  readonly maxBytes: number
  readonly caFile?: string
  readonly tokenFile?: string
  readonly credentialsSecret?: string
  readonly localPath?: string
  readonly claimName?: string
  readonly claimPath?: string
  readonly output: 'json' | 'yaml'
}

/** `model add SOURCE`: reads every file once and prints a Model with their digests and sizes. */
export async function modelAdd(source: string, options: ModelAddOptions, io: Io, signal: AbortSignal): Promise<void> {
  const plan = /^[a-z][a-z0-9+.-]*:\/\//i.test(source) ? planHttps(source, options) : planFolder(source, options)
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
  check(modelSourceSchema, plan.source, 'source')
  const progress = progressLine(io)
  const files = await plan.digest({ signal, onProgress: (step) => progress.show(step) }).finally(() => progress.end())
  const spec = check(modelSpecSchema, modelSpec(plan.source, files, options, io), 'Model')
  await printObject(io, options.output, {
    apiVersion,
    kind: 'Model',
    metadata: { name, ...(options.namespace === undefined ? {} : { namespace: options.namespace }) },
    spec,
  })
}

type ReadDeps = Parameters<typeof import('./source/folder.ts').digestFolder>[3]
type Plan = { readonly name: string; readonly source: ModelSource; digest(deps: ReadDeps): Promise<ModelFile[]> }

function planHttps(source: string, options: ModelAddOptions): Plan {
  if (options.localPath !== undefined || options.claimName !== undefined) {
    throw usageError('--local-path and --claim-name go with a folder, not with a URL')
  }
  if (!source.startsWith('https://')) throw usageError(`${source}: must be an https URL`)
  const single = !source.endsWith('/')
  if (single && options.file.length > 0) {
    throw usageError('--file goes with the URL of a folder, which ends in "/"', `Did you mean ${source}/ ?`)
  }
  if (!single && options.file.length === 0) {
    throw usageError('a folder URL cannot be listed', 'Name each file with --file PATH.')
  }
  const cut = source.lastIndexOf('/') + 1
  const folder = single ? source.slice(0, cut) : source
  const paths = single ? [source.slice(cut)] : options.file
  const { credentialsSecret } = options
  return {
    name: nameFrom(new URL(folder).pathname),
    source: {
      https: { url: folder, ...(credentialsSecret === undefined ? {} : { credentialsSecretName: credentialsSecret }) },
    },
    digest: async (deps) => {
      const { digestHttps } = await import('./source/https.ts')
      const ca = options.caFile === undefined ? undefined : await readText('--ca-file', options.caFile)
      const token =
        options.tokenFile === undefined ? undefined : (await readText('--token-file', options.tokenFile)).trim()
      const authorization = token === undefined ? undefined : `Bearer ${token}`
      return digestHttps({ folder, paths, maxBytes: options.maxBytes, ca, authorization }, deps)
    },
  }
}

function planFolder(source: string, options: ModelAddOptions): Plan {
  const { localPath, claimName, claimPath = '' } = options
  if ((localPath === undefined) === (claimName === undefined)) {
    throw usageError(
      'a folder needs either --local-path or --claim-name',
      '--local-path: the folder below the local root of the fetch worker; --claim-name: the volume that holds the files.',
    )
  }
  return {
    name: nameFrom(localPath ?? (claimPath === '' ? basename(resolve(source)) : claimPath)),
    source:
      localPath !== undefined
        ? { local: { path: localPath } }
        : { pvc: { claimName: claimName ?? '', path: claimPath } },
    digest: async (deps) => {
      const { digestFolder } = await import('./source/folder.ts')
      return digestFolder(source, options.file, options.maxBytes, deps)
    },
  }
}

/** `triage/v3/` gives `triage-v3`: the last two parts of a path, as far as a name may hold them. */
export function nameFrom(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '')
    .slice(-2)
    .join('-')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, objectNameLength)
    .replace(/-+$/, '')
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

/** The same bounds as the API server's, said before anything is downloaded or printed. */
function check<T>(schema: z.ZodType<T>, value: T, what: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw usageError(`the ${what} would be refused: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`)
}

async function readText(option: string, path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error) => {
    throw usageError(`${option} ${path}: ${messageOf(error)}`)
  })
}
