import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Installation } from '../../cluster/hansa/installation.ts'
import type { Haul } from './haul.ts'

const largestFile = 64 * 2 ** 20

/** Puts into `haul` everything of an owner that a thief who has it all could read, and tells how many places that were. */
export async function searchOwner({ owner, nodes }: Installation, haul: Haul) {
  let objects = 0
  for (const kind of ['secrets', 'configmaps', 'serviceaccounts']) {
    const { body } = await owner.request({ path: `/api/v1/${kind}` })
    for (const item of itemsSchema.parse(body).items) {
      haul.add(JSON.stringify(item), `${kind} ${item.metadata.namespace}/${item.metadata.name}`)
      objects += 1
    }
  }
  let files = 0
  for (const folder of [owner.dir, ...nodes.map(({ dir }) => dir)]) {
    for await (const path of filesBelow(folder)) {
      const { size } = await stat(path).catch(() => ({ size: Number.POSITIVE_INFINITY }))
      if (size > largestFile) continue
      const bytes = await readFile(path).catch(() => undefined) // pods come and go meanwhile
      if (bytes === undefined) continue
      haul.add(bytes.toString('latin1').replaceAll(/\0+/g, '\n'), path) // etcd's journal is mostly empty
      files += 1
    }
  }
  let processes = 0
  for (const pid of await processesOf({ owner, nodes })) {
    for (const part of ['environ', 'cmdline']) {
      const text = await readFile(`/proc/${pid}/${part}`, 'latin1').catch(() => '')
      if (text !== '') haul.add(text.replaceAll('\0', '\n'), `${part} of process ${pid}`)
    }
    processes += 1
  }
  return { objects, files, processes }
}

const itemsSchema = z.object({
  items: z.array(z.looseObject({ metadata: z.looseObject({ name: z.string(), namespace: z.string() }) })),
})

async function* filesBelow(folder: string, depth = 0): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    const path = join(folder, entry.name)
    // Volumes are swapped by links: what they lead to is in the same folder, but for model files of this repository.
    if (entry.isDirectory() && depth < 16) yield* filesBelow(path, depth + 1)
    else if (entry.isFile()) yield path
    else if (entry.isSymbolicLink() && (await readlink(path).catch(() => '')).startsWith('..')) {
      if ((await stat(path).catch(() => undefined))?.isFile()) yield path
    }
  }
}

/** The control plane, the pods' processes, and all their descendants. */
async function processesOf({ owner, nodes }: Pick<Installation, 'owner' | 'nodes'>): Promise<Set<number>> {
  const found = new Set<number>()
  for (const { pid } of Object.values(owner.parts)) if (pid !== undefined) found.add(pid)
  for (const node of nodes) {
    for (const { containers } of node.pods()) for (const { pid } of containers) if (pid !== undefined) found.add(pid)
  }
  const parents = new Map<number, number>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const line = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '')
    const [, parent] = /^\d+ \(.*\) \S (\d+)/s.exec(line) ?? []
    if (parent !== undefined) parents.set(Number(name), Number(parent))
  }
  for (let grew = true; grew; ) {
    grew = false
    for (const [pid, parent] of parents) {
      if (found.has(parent) && !found.has(pid)) {
        found.add(pid)
        grew = true
      }
    }
  }
  return found
}
