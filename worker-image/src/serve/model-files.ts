import { createHash } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import { lstat, open, realpath } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { WorkerModel } from '@hansa/operator/api/index.ts'
import { HansaError } from '@hansa/operator/process/errors.ts'

/** Up to this sum the files are hashed again at start; it takes less than a second per GiB. */
export const rehashBytes = 1 << 30

/**
 * Checks the model folder once more before the runtime reads it: each file is there as a plain file with its size and, up to
 * `rehashBytes` together, its digest. Returns the path of `entrypoint`. Throws HansaError.
 *
 * The runtime opens the path itself afterwards, so this does not guard against a writer in between: the folder is mounted
 * read-only into this container, and the container that filled it has ended.
 */
export async function checkModelFiles(
  model: WorkerModel,
  folder: string,
  entrypoint: string,
  signal: AbortSignal,
): Promise<string> {
  if (!model.files.some((file) => file.path === entrypoint)) {
    throw new HansaError('EntrypointMissing', `the model has no file ${entrypoint}`)
  }
  const root = await realpath(folder).catch((cause: unknown) => {
    throw new HansaError('ModelLoadFailed', 'the model folder is missing', { cause })
  })
  const total = model.files.reduce((sum, file) => sum + file.sizeBytes, 0)
  for (const file of model.files) {
    const path = join(root, file.path)
    await checkFile(path, root, file, total <= rehashBytes, signal)
  }
  return join(root, entrypoint)
}

async function checkFile(
  path: string,
  root: string,
  file: WorkerModel['files'][number],
  rehash: boolean,
  signal: AbortSignal,
): Promise<void> {
  const state = await lstat(path).catch((cause: unknown) => {
    throw new HansaError('ModelLoadFailed', `file ${file.path} is missing`, { cause })
  })
  const real = await realpath(path)
  if (!state.isFile() || state.nlink !== 1 || real !== path || !real.startsWith(root + sep)) {
    throw new HansaError('UnsafePath', `${file.path} is not a plain file of the model folder`)
  }
  if (state.size !== file.sizeBytes) {
    throw new HansaError('SizeMismatch', `${file.path} has ${state.size} bytes instead of ${file.sizeBytes}`)
  }
  if (!rehash) return
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  const hash = createHash('sha256')
  await pipeline(createReadStream('', { fd: handle, highWaterMark: 1 << 20 }), hash, { signal })
  if (hash.digest('hex') !== file.sha256) {
    throw new HansaError('DigestMismatch', `${file.path} does not have the digest that the Model names`)
  }
}
