import { createHash } from 'node:crypto'
import type { ModelFile } from '../../api/model.ts'
import { sourceError } from '../cli-error.ts'
import type { ReadDeps } from './source-file.ts'

const lfsPointer = 'version https://git-lfs.github.com/spec/'
const headBytes = 256

/**
 * Hashes a stream of bytes as the file `path`; at most `maxBytes`. Refuses what is surely no model file: nothing at all, a
 * Git LFS pointer, a web page.
 */
export async function digestFile(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  options: { maxBytes: number; total: number | undefined },
  deps: ReadDeps,
): Promise<ModelFile> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  let head = Buffer.alloc(0)
  for await (const chunk of bytes) {
    deps.signal.throwIfAborted()
    sizeBytes += chunk.length
    if (sizeBytes > options.maxBytes) {
      throw sourceError(`${path} is larger than the ${options.maxBytes} bytes that are allowed`, 'Raise --max-bytes.')
    }
    if (head.length < headBytes) {
      head = Buffer.concat([head, chunk.subarray(0, headBytes - head.length)])
    }
    hash.update(chunk)
    deps.onProgress({ path, bytes: sizeBytes, total: options.total })
  }
  if (sizeBytes === 0) throw sourceError(`${path} is empty`, 'Check the path.')
  if (options.total !== undefined && sizeBytes !== options.total) {
    throw sourceError(`${path} ended after ${sizeBytes} of ${options.total} bytes`, 'Run the command again.')
  }
  refuseImpostor(path, head.toString('latin1'))
  return { path, sha256: hash.digest('hex'), sizeBytes }
}

function refuseImpostor(path: string, head: string): void {
  if (head.startsWith(lfsPointer)) {
    throw sourceError(`${path} is a Git LFS pointer, not the file`, 'Use the URL of the file itself, or git lfs pull.')
  }
  if (/^\s*<(!doctype html|html)/i.test(head)) {
    throw sourceError(
      `${path} is a web page, not a model file`,
      'Use the URL of the raw file; log in where it asks to.',
    )
  }
}
