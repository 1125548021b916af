import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ContainerConfigError, readEnvironment } from './environment.ts'
import { expand } from './expand.ts'
import type { PodAddresses } from './field-ref.ts'
import type { Image } from './image-map.ts'
import type { ContainerSpec, Pod } from './kube-types.ts'
import type { ObjectCache } from './object-cache.ts'
import { createPathMapper, type PathMapping } from './path-mapping.ts'

export interface LaunchInputs {
  readonly pod: Pod
  readonly container: ContainerSpec
  readonly image: Image
  readonly addresses: PodAddresses
  readonly objects: Pick<ObjectCache, 'configMap' | 'secret'>
  readonly volumePaths: ReadonlyMap<string, string>
  /** The container's own folder, made by the caller. */
  readonly folder: string
  /** Where the termination message of this run goes. */
  readonly terminationLog: string
  /** What every container of the node gets: PATH and how to reach the API server. */
  readonly environment: Readonly<Record<string, string>>
  /** Goes before the container's own NODE_OPTIONS. */
  readonly nodeOptions?: string | undefined
}

/** A container's process, ready to be started. */
export interface LaunchPlan {
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Turns a text with container paths into one with host paths. */
  readonly mapPaths: (text: string) => string
}

/** Works out command, variables and folder of a container; throws `ContainerConfigError` where its spec does not allow it. */
export async function planLaunch(inputs: LaunchInputs): Promise<LaunchPlan> {
  const { pod, container, image, folder } = inputs
  const home = join(folder, 'home')
  await mkdir(home, { recursive: true })
  const base: Record<string, string> = { HOME: home, HOSTNAME: pod.metadata.name, ...image.env, ...inputs.environment }
  const variables = await readEnvironment({ ...inputs, base })
  const mappings = await mountPaths(inputs, variables)
  const mapPaths = createPathMapper(mappings)
  const env: Record<string, string> = {}
  // The node's own values are host paths already, and may lie below a container path such as /tmp.
  for (const [name, value] of variables) env[name] = base[name] === value ? value : mapPaths(value)
  env.TMPDIR ??= mappings.find(({ containerPath }) => containerPath === '/tmp')?.hostPath ?? (await own(folder, 'tmp'))
  if (inputs.nodeOptions) env.NODE_OPTIONS = [inputs.nodeOptions, env.NODE_OPTIONS].filter(Boolean).join(' ')

  const written = [...(container.command ?? []), ...(container.args ?? [])].map((text) =>
    mapPaths(expand(text, variables)),
  )
  const command = container.command?.length ? written : [...image.entrypoint, ...written]
  if (command.length === 0) throw new ContainerConfigError(`image ${container.image} has no command`)
  return { command, env, mapPaths, cwd: await workingFolder(inputs, mapPaths, home) }
}

async function mountPaths(inputs: LaunchInputs, variables: ReadonlyMap<string, string>): Promise<PathMapping[]> {
  const { container, volumePaths, terminationLog } = inputs
  await writeFile(terminationLog, '', { mode: 0o600 })
  const mappings: PathMapping[] = [
    { containerPath: container.terminationMessagePath ?? '/dev/termination-log', hostPath: terminationLog },
  ]
  for (const mount of container.volumeMounts ?? []) {
    const volume = volumePaths.get(mount.name)
    if (volume === undefined) throw new ContainerConfigError(`volume ${mount.name} is not mounted`)
    const subPath = mount.subPathExpr === undefined ? mount.subPath : expand(mount.subPathExpr, variables)
    if (subPath?.split('/').includes('..')) throw new ContainerConfigError(`subPath ${subPath} must not contain '..'`)
    const hostPath = subPath ? join(volume, subPath) : volume
    if (subPath && !(await exists(hostPath))) await mkdir(hostPath, { recursive: true })
    mappings.push({ containerPath: mount.mountPath, hostPath })
  }
  return mappings
}

async function workingFolder(inputs: LaunchInputs, mapPaths: (text: string) => string, home: string): Promise<string> {
  const wanted = inputs.container.workingDir && mapPaths(inputs.container.workingDir)
  if (wanted && (await exists(wanted))) return wanted
  return inputs.image.workingDir ?? home
}

async function own(folder: string, name: string): Promise<string> {
  const path = join(folder, name)
  await mkdir(path, { recursive: true })
  return path
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}
