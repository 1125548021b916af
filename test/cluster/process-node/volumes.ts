import { mkdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { messageOf } from '@hansa/operator/process/errors.ts'
import { writeAtomically } from './atomic-folder.ts'
import type { KubeObject, Pod, Volume } from './kube-types.ts'
import { namespaceOf } from './kube-types.ts'
import type { ObjectCache } from './object-cache.ts'
import { type ContentDeps, MountError, readContent, referencedObjects } from './volume-content.ts'

export interface VolumeDeps extends Omit<ContentDeps, 'tokens' | 'pod' | 'objects'> {
  readonly objects: ObjectCache
  /** The newest version of the pod: its labels and annotations may change. */
  readonly pod: () => Pod
  /** Where the pod's own volumes lie. */
  readonly folder: string
  readonly log: (line: string) => void
}

/** The mounted volumes of one pod. */
export interface Volumes {
  /** Host path by volume name. */
  readonly paths: ReadonlyMap<string, string>
  /** Writes files anew whose source may have changed. */
  refresh(): void
  /** Ends updates; files stay. */
  close(): void
}

const retryMilliseconds = 2_000

/** Makes all volumes of a pod and keeps their files up to date; throws `MountError` where one cannot be made yet. */
export async function mountVolumes(deps: VolumeDeps): Promise<Volumes> {
  const paths = new Map<string, string>()
  const updaters: Updater[] = []
  try {
    for (const volume of deps.pod().spec.volumes ?? []) {
      const folder = join(deps.folder, volume.name)
      const fixed = await mountFixed(volume, folder, deps)
      paths.set(volume.name, fixed ?? folder)
      if (fixed === undefined) updaters.push(await startUpdater(volume, folder, deps))
    }
  } catch (error) {
    for (const updater of updaters) updater.close()
    throw error instanceof MountError ? error : new MountError(messageOf(error), error)
  }
  return {
    paths,
    refresh() {
      for (const updater of updaters) updater.refresh()
    },
    close() {
      for (const updater of updaters) updater.close()
    },
  }
}

async function mountFixed(volume: Volume, folder: string, deps: VolumeDeps): Promise<string | undefined> {
  if (volume.hostPath) return mountHostPath(volume.hostPath)
  if (volume.persistentVolumeClaim) return mountClaim(volume.persistentVolumeClaim.claimName, deps)
  if (volume.configMap || volume.secret || volume.projected || volume.downwardAPI) return undefined
  if (!volume.emptyDir) throw new MountError(`volume ${volume.name} is of a kind that this node does not know`)
  await mkdir(folder, { recursive: true })
  return folder
}

async function mountHostPath({ path, type = '' }: { path: string; type?: string }): Promise<string> {
  if (type === 'DirectoryOrCreate') await mkdir(path, { recursive: true })
  if (type === 'FileOrCreate') {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, '', { flag: 'a' })
  }
  const found = await stat(path).catch(() => undefined)
  if (type === '') return path
  const fits = type.startsWith('Directory') ? found?.isDirectory() : type.startsWith('File') ? found?.isFile() : found
  if (!fits) throw new MountError(`hostPath type check failed: ${path} is not a ${type}`)
  return path
}

interface Claim extends KubeObject {
  readonly spec: { readonly volumeName?: string }
  readonly status?: { readonly phase?: string }
}

interface PersistentVolume extends KubeObject {
  readonly spec: {
    readonly hostPath?: { readonly path: string; readonly type?: string }
    readonly local?: { readonly path: string }
  }
}

async function mountClaim(name: string, { client, pod }: VolumeDeps): Promise<string> {
  const path = `/api/v1/namespaces/${namespaceOf(pod())}/persistentvolumeclaims/${name}`
  const claim = await client.request<Claim>({ path })
  if (claim.status?.phase !== 'Bound' || !claim.spec.volumeName) throw new MountError(`claim ${name} is not bound`)
  const volume = await client.request<PersistentVolume>({ path: `/api/v1/persistentvolumes/${claim.spec.volumeName}` })
  const { hostPath, local } = volume.spec
  if (hostPath) return mountHostPath(hostPath)
  if (!local) throw new MountError(`volume ${volume.metadata.name} is neither of type hostPath nor local`)
  return mountHostPath({ path: local.path, type: 'Directory' })
}

interface Updater {
  refresh(): void
  close(): void
}

async function startUpdater(volume: Volume, folder: string, deps: VolumeDeps): Promise<Updater> {
  const tokens: ContentDeps['tokens'] = new Map()
  let written = ''
  let timer: NodeJS.Timeout | undefined
  let closed = false
  let writing = Promise.resolve()

  async function write(): Promise<void> {
    const pod = deps.pod()
    const content = await readContent(volume, { ...deps, pod, tokens })
    if (closed || !content) return
    const serialized = JSON.stringify(
      [...content].map(([path, { data, mode }]) => [path, data.toString('base64'), mode]),
    )
    if (serialized === written) return
    await writeAtomically(folder, content)
    written = serialized
  }

  function schedule(): void {
    clearTimeout(timer)
    if (closed || tokens.size === 0) return
    const due = Math.min(...[...tokens.values()].map(({ renewAt }) => renewAt))
    timer = setTimeout(refresh, Math.max(due - Date.now(), retryMilliseconds)).unref()
  }

  function refresh(): void {
    writing = writing.then(write).then(schedule, (error) => {
      if (closed) return
      deps.log(`volume ${volume.name}: ${messageOf(error)}`)
      clearTimeout(timer)
      timer = setTimeout(refresh, retryMilliseconds).unref()
    })
  }

  await write()
  schedule()
  const namespace = namespaceOf(deps.pod())
  const unsubscribe = referencedObjects(volume).map(({ kind, name }) =>
    deps.objects.subscribe(kind, namespace, name, refresh),
  )
  return {
    refresh,
    close() {
      closed = true
      clearTimeout(timer)
      for (const end of unsubscribe) end()
    },
  }
}
