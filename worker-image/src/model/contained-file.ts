import { constants } from 'node:fs'
import { type FileHandle, lstat, open, readlink, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelRefused, quote } from './model-refused.ts'
import { isPlainPath } from './plain-path.ts'

// A source's own folder may come before the path of the file.
const longestPath = 1024

/** A file of a model, opened for reading. The caller closes `handle`. */
export type ContainedFile = { handle: FileHandle; sizeBytes: number }

/**
 * Opens the regular file `path` below `root`. Refuses with `UnsafePath` a path outside, a symbolic link in any component
 * below `root`, a hard link, and anything but a regular file; what was opened is compared with what was looked at. Throws
 * node's ENOENT error where there is no such file.
 */
export async function openContained(root: string, path: string): Promise<ContainedFile> {
  if (!isPlainPath(path, longestPath)) throw unsafe(path, 'is no relative path of plain names')
  // The root is the cluster admin's or ours and may itself be reached through a link.
  const base = await realpath(root)
  const parts = path.split('/')
  let current = base
  for (const [index, part] of parts.entries()) {
    current = join(current, part)
    const found = await lstat(current)
    if (found.isSymbolicLink()) throw unsafe(path, 'is or passes through a symbolic link')
    if (index < parts.length - 1 && !found.isDirectory())
      throw unsafe(path, 'passes through something that is no folder')
    if (index === parts.length - 1 && !found.isFile()) throw unsafe(path, 'is no regular file')
  }
  // O_NONBLOCK: a pipe that took the file's place meanwhile must not hold us.
  const handle = await openNoFollow(current, path)
  try {
    const opened = await handle.stat()
    if (!opened.isFile()) throw unsafe(path, 'is no regular file')
    if (opened.nlink !== 1) throw unsafe(path, `has ${opened.nlink} hard links`)
    // A folder on the way may have become a link between the look and the open; the kernel knows what was opened.
    if ((await readlink(`/proc/self/fd/${handle.fd}`)) !== current) throw unsafe(path, 'changed while it was opened')
    return { handle, sizeBytes: opened.size }
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function openNoFollow(absolute: string, path: string): Promise<FileHandle> {
  try {
    return await open(absolute, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ELOOP') throw unsafe(path, 'is a symbolic link')
    throw error
  }
}

function unsafe(path: string, message: string): ModelRefused {
  return new ModelRefused('UnsafePath', `${quote(path)} ${message}`, { file: path })
}
