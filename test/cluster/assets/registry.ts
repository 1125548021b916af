import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { AssetError } from './asset-error.ts'
import { buildStep } from './build.ts'
import { cacheFolder, findExecutable, isExecutable, searchPath } from './find.ts'
import { withLock } from './lock.ts'
import type { BuildStep } from './recipe.ts'

const module = join(import.meta.dirname, 'registry')
const version = 'v3.1.2'

const step: BuildStep = {
  module,
  file: 'registry',
  label: `the OCI registry ${version}`,
  package: '.',
  settings: { 'github.com/distribution/distribution/v3/version.version': version },
  aliases: [],
  expectedSeconds: 45,
}

/**
 * Path of the CNCF distribution registry: the file that `HANSA_REGISTRY_ASSET` names, else the cache's, else built with Go.
 *
 * @throws AssetError where it is neither found nor can be built
 */
export async function ensureRegistry(
  options: { env?: NodeJS.ProcessEnv; onProgress?: (line: string) => void; signal?: AbortSignal } = {},
): Promise<string> {
  const { env = process.env, onProgress = () => undefined, signal } = options
  const given = env.HANSA_REGISTRY_ASSET
  if (given) {
    const path = resolve(given)
    if (await isExecutable(path)) return path
    throw new AssetError(`HANSA_REGISTRY_ASSET names ${path}, which is no program`, 'Correct it or unset it.')
  }
  const folder = join(cacheFolder(env), recipeKey())
  const path = join(folder, step.file)
  if (await isExecutable(path)) return path
  if ((await findExecutable('go', searchPath(env))) === undefined) {
    throw new AssetError(
      'The OCI registry is neither in the cache nor can it be built, because Go is not installed.',
      'Install Go 1.26 or newer (https://go.dev/dl/), or name a built registry with HANSA_REGISTRY_ASSET.',
    )
  }
  await mkdir(folder, { recursive: true })
  const work = async () => {
    if (await isExecutable(path)) return
    await buildStep(step, { folder, onProgress, env, ...(signal ? { signal } : {}) })
  }
  await withLock(`${folder}.lock`, work, {
    onWait: () => onProgress('another process is building the OCI registry; waiting for it'),
    ...(signal ? { signal } : {}),
  })
  return path
}

function recipeKey(): string {
  const hash = createHash('sha256')
  for (const file of ['go.mod', 'go.sum', 'main.go']) hash.update(readFileSync(join(module, file)))
  hash.update(JSON.stringify(step.settings))
  return `registry-${version}-${process.platform}-${process.arch}-${hash.digest('hex').slice(0, 10)}`
}
