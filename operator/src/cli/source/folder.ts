import { createReadStream } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ModelFile } from '../../api/model.ts'
import { relativePathPattern } from '../../api/scalar.ts'
import { messageOf } from '../../process/errors.ts'
import { sourceError } from '../cli-error.ts'
import { digestFile } from './digest.ts'
import type { ReadDeps } from './source-file.ts'

const maxFiles = 256

/** Hashes files below a local folder: those of `paths`, or all. Links and names that a Model cannot have are refused. */
export async function digestFolder(
  folder: string,
  paths: readonly string[],
  maxBytes: number,
  deps: ReadDeps,
): Promise<ModelFile[]> {
  const found = paths.length > 0 ? paths : await filesBelow(folder)
  if (found.length === 0) throw sourceError(`${folder} holds no files`)
  const files: ModelFile[] = []
  let left = maxBytes
  for (const path of found) {
    const full = join(folder, path)
    const stat = await lstat(full).catch((error) => {
      throw sourceError(`cannot read ${full}: ${messageOf(error)}`)
    })
    if (!stat.isFile()) throw sourceError(`${full} is no regular file`, 'Links and folders cannot be files of a model.')
    const file = await digestFile(path, createReadStream(full), { maxBytes: left, total: stat.size }, deps)
    left -= file.sizeBytes
    files.push(file)
  }
  return files
}

async function filesBelow(folder: string, prefix = '', found: string[] = []): Promise<string[]> {
  const entries = await readdir(join(folder, prefix), { withFileTypes: true }).catch((error) => {
    throw sourceError(`cannot read ${join(folder, prefix)}: ${messageOf(error)}`)
  })
  entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const entry of entries) {
    const path = `${prefix}${entry.name}`
    if (!relativePathPattern.test(path)) {
      throw sourceError(`${path}: a Model cannot have a file of this name`, 'Rename it, or list the files with --file.')
    }
    if (entry.isDirectory()) {
      await filesBelow(folder, `${path}/`, found)
    } else if (entry.isFile()) {
      found.push(path)
    } else {
      throw sourceError(`${path} is no regular file`, 'Copy what it points to, or list the files with --file.')
    }
    if (found.length > maxFiles) throw sourceError(`${folder} holds more than ${maxFiles} files`)
  }
  return found
}
