import type { FileHandle } from 'node:fs/promises'
import type { ModelFile } from '@hansa/operator/api/model.ts'
import { runCheckProcess } from './check-process.ts'
import { openContained } from './contained-file.ts'
import { resolveEntrypoint } from './entrypoint.ts'
import { defaultDomains, defaultLimits, type ModelLimits } from './limits.ts'
import { ModelRefused } from './model-refused.ts'

export type CheckModelOptions = {
  /** Folder of the files, or a function that opens one from elsewhere. */
  dir: string | ((path: string) => Promise<{ handle: FileHandle; sizeBytes: number }>)
  files: readonly Pick<ModelFile, 'path' | 'sizeBytes'>[]
  format?: 'ONNX' | 'TrainingBundle'
  /** The .onnx file to load, where there are several. */
  entrypoint?: string
  limits?: Partial<ModelLimits>
  allowedDomains?: readonly string[]
  /** Longest time for one ONNX file. */
  deadlineMs?: number
  /** Heap of the process that decodes one ONNX file. */
  heapMegabytes?: number
  signal?: AbortSignal
}

export type CheckedModel = { onnxFiles: readonly string[]; checkedBytes: number }

/**
 * Checks the files of a model, digests aside: each is a plain file of its size inside the folder, and every `*.onnx` is safe to
 * load. Decoding runs in a child process without rights, with a heap limit and a deadline. Throws `ModelRefused`.
 */
export async function checkModel(options: CheckModelOptions): Promise<CheckedModel> {
  const { dir, files } = options
  const open = typeof dir === 'string' ? (path: string) => openContained(dir, path) : dir
  const paths = files.map((file) => file.path)
  const twice = paths.find((path, index) => paths.indexOf(path) !== index)
  if (twice !== undefined) throw new ModelRefused('UnsafePath', 'is listed twice', { file: twice })
  const folder = paths.find((path) => paths.some((other) => other.startsWith(`${path}/`)))
  if (folder !== undefined) throw new ModelRefused('UnsafePath', 'is a file and a folder', { file: folder })
  const onnxFiles = paths.filter((path) => path.endsWith('.onnx'))
  if (options.format !== 'TrainingBundle') resolveEntrypoint(paths, options.entrypoint)
  const sizes: [string, number][] = []
  for (const { path, sizeBytes } of files) {
    const opened = await openFile(open, path)
    await opened.handle.close()
    if (opened.sizeBytes !== sizeBytes) {
      throw new ModelRefused('SizeMismatch', `has ${opened.sizeBytes} bytes, not ${sizeBytes}`, { file: path })
    }
    sizes.push([path, sizeBytes])
  }
  let checkedBytes = 0
  for (const path of onnxFiles) {
    const opened = await openFile(open, path)
    try {
      await runCheckProcess(
        {
          file: path,
          sizeBytes: opened.sizeBytes,
          sizes,
          limits: { ...defaultLimits, ...options.limits },
          domains: [...(options.allowedDomains ?? defaultDomains)],
        },
        opened.handle.fd,
        {
          deadlineMs: options.deadlineMs ?? 300_000,
          heapMegabytes: options.heapMegabytes ?? 1024,
          signal: options.signal ?? new AbortController().signal,
        },
      )
      checkedBytes += opened.sizeBytes
    } finally {
      await opened.handle.close()
    }
  }
  return { onnxFiles, checkedBytes }
}

async function openFile(
  open: (path: string) => Promise<{ handle: FileHandle; sizeBytes: number }>,
  path: string,
): Promise<{ handle: FileHandle; sizeBytes: number }> {
  try {
    return await open(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      throw new ModelRefused('SourceNotFound', 'is not there', { file: path })
    }
    throw error
  }
}
