import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, readlink, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'

export interface FileContent {
  readonly data: Buffer
  readonly mode: number
}

/** Relative paths and what they hold. */
export type FolderContent = ReadonlyMap<string, FileContent>

/**
 * Puts files into a folder so that a reader sees either all old or all new ones, as a kubelet does: a new hidden folder, a
 * rename of the link `..data` onto it, and one link per name that goes through `..data`.
 */
export async function writeAtomically(folder: string, content: FolderContent): Promise<void> {
  const generation = `..${randomBytes(6).toString('hex')}`
  await mkdir(join(folder, generation), { recursive: true })
  for (const [path, { data, mode }] of content) {
    if (normalize(path) !== path || path.startsWith('/') || path.split('/').includes('..')) {
      throw new Error(`volume path ${path} must stay within its volume`)
    }
    const file = join(folder, generation, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, data)
    await chmod(file, mode)
  }
  const previous = await readlink(join(folder, '..data')).catch(() => undefined)
  await rm(join(folder, '..data_tmp'), { force: true })
  await symlink(generation, join(folder, '..data_tmp'))
  await rename(join(folder, '..data_tmp'), join(folder, '..data'))
  await updateLinks(folder, new Set([...content.keys()].map((path) => path.split('/')[0] ?? path)))
  if (previous) await rm(join(folder, previous), { recursive: true, force: true })
}

async function updateLinks(folder: string, wanted: ReadonlySet<string>): Promise<void> {
  const present = new Set((await readdir(folder)).filter((name) => !name.startsWith('..')))
  for (const name of wanted) if (!present.has(name)) await symlink(join('..data', name), join(folder, name))
  for (const name of present) if (!wanted.has(name)) await unlink(join(folder, name))
}
