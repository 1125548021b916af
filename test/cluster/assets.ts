import { mkdir, readdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { AssetError } from './assets/asset-error.ts'
import { buildStep } from './assets/build.ts'
import {
  cacheFolder,
  findExecutable,
  installedHelm,
  installedKubectl,
  isExecutable,
  searchPath,
} from './assets/find.ts'
import { withLock } from './assets/lock.ts'
import { type BuildStep, etcdStep, helmStep, kubeStep, recipeKey } from './assets/recipe.ts'

/** Absolute paths of the programs that make a cluster. */
export interface Assets {
  readonly kubeApiserver: string
  readonly kubeControllerManager: string
  readonly kubeScheduler: string
  readonly etcd: string
  readonly kubectl: string
  readonly helm: string
}

export interface EnsureAssetsOptions {
  /** Gets a line now and then, and nothing where everything is there already. */
  readonly onProgress?: (line: string) => void
  readonly env?: NodeJS.ProcessEnv
  readonly signal?: AbortSignal
}

/**
 * Finds the Kubernetes programs in the folder `HANSA_KUBE_ASSETS` names, else in the cache, else builds them with Go.
 *
 * kubectl and helm are the user's own where they are recent enough.
 *
 * @throws AssetError where they are neither found nor can be built
 */
export async function ensureAssets(options: EnsureAssetsOptions = {}): Promise<Assets> {
  const env = options.env ?? process.env
  const [kubectl, helm] = await Promise.all([installedKubectl(env), installedHelm(env)])
  return ensure({ kubectl, helm }, [kubeStep, etcdStep, ...(helm === undefined ? [helmStep] : [])], options)
}

/** Finds or builds only what one needs to use a cluster that exists already. */
export async function ensureTools(options: EnsureAssetsOptions = {}): Promise<Pick<Assets, 'kubectl' | 'helm'>> {
  const env = options.env ?? process.env
  const [kubectl, helm] = await Promise.all([installedKubectl(env), installedHelm(env)])
  if (kubectl !== undefined && helm !== undefined) return { kubectl, helm }
  const steps = [...(kubectl === undefined ? [kubeStep] : []), ...(helm === undefined ? [helmStep] : [])]
  return ensure({ kubectl, helm }, steps, options)
}

async function ensure(
  { kubectl, helm }: Installed,
  steps: readonly BuildStep[],
  options: EnsureAssetsOptions,
): Promise<Assets> {
  const env = options.env ?? process.env
  const given = env.HANSA_KUBE_ASSETS
  if (given) return fromFolder(resolve(given), { kubectl, helm })
  const folder = join(cacheFolder(env), recipeKey())
  if (!(await allBuilt(folder, steps))) await buildMissing(folder, steps, env, options)
  return inFolder(folder, { kubectl, helm })
}

interface Installed {
  readonly kubectl: string | undefined
  readonly helm: string | undefined
}

async function fromFolder(folder: string, installed: Installed): Promise<Assets> {
  const assets = inFolder(folder, installed)
  const missing: string[] = []
  for (const path of Object.values(assets)) if (!(await isExecutable(path))) missing.push(path)
  if (missing.length === 0) return assets
  throw new AssetError(
    `HANSA_KUBE_ASSETS names ${folder}, but these programs are missing: ${missing.join(', ')}`,
    'Put kube-apiserver, kube-controller-manager, kube-scheduler and etcd there (and kubectl and helm, unless they are installed), or unset it.',
  )
}

function inFolder(folder: string, { kubectl, helm }: Installed): Assets {
  return {
    kubeApiserver: join(folder, 'kube-apiserver'),
    kubeControllerManager: join(folder, 'kube-controller-manager'),
    kubeScheduler: join(folder, 'kube-scheduler'),
    etcd: join(folder, 'etcd'),
    kubectl: kubectl ?? join(folder, 'kubectl'),
    helm: helm ?? join(folder, 'helm'),
  }
}

async function allBuilt(folder: string, steps: readonly BuildStep[]): Promise<boolean> {
  const names = steps.flatMap((step) => [step.file, ...step.aliases])
  const found = await Promise.all(names.map((name) => isExecutable(join(folder, name))))
  return !found.includes(false)
}

async function buildMissing(
  folder: string,
  steps: readonly BuildStep[],
  env: NodeJS.ProcessEnv,
  { onProgress = () => undefined, signal }: EnsureAssetsOptions,
): Promise<void> {
  if ((await findExecutable('go', searchPath(env))) === undefined) {
    throw new AssetError(
      'Kubernetes is neither in the cache nor can it be built, because Go is not installed.',
      'Install Go 1.26 or newer (https://go.dev/dl/, or `apt-get install golang` where that is recent enough; an older Go ' +
        'with GOTOOLCHAIN=auto fetches the right one), or set HANSA_KUBE_ASSETS to a folder with kube-apiserver, ' +
        'kube-controller-manager, kube-scheduler, etcd, kubectl and helm, or use clusters of your own: HANSA_KUBECONFIG.',
    )
  }
  await mkdir(folder, { recursive: true })
  const work = async () => {
    // What a killed build left behind.
    for (const name of await readdir(folder)) if (name.endsWith('.tmp')) await rm(join(folder, name), { force: true })
    for (const step of steps) {
      if (await allBuilt(folder, [step])) continue
      await buildStep(step, { folder, onProgress, env, ...(signal ? { signal } : {}) })
    }
  }
  await withLock(`${folder}.lock`, work, {
    onWait: () => onProgress('another process is building Kubernetes; waiting for it'),
    ...(signal ? { signal } : {}),
  })
}
