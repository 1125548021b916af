import { createHash } from 'node:crypto'
import type { ModelFile } from '../../api/model.ts'
import { relativePathPattern } from '../../api/scalar.ts'
import { acceptedManifests, longestManifestBytes, parseManifest, refusePacked } from '../../oci/manifest.ts'
import { parseRepository } from '../../oci/repository.ts'
import { type Answer, RegistrySession, readBounded } from '../../oci/session.ts'
import { HansaError, messageOf } from '../../process/errors.ts'
import { CliError, sourceError, usageError } from '../cli-error.ts'
import { follow } from './follow.ts'
import { selectPaths } from './glob.ts'
import { hintOf, sourceAgent } from './https.ts'
import type { Access, Selection } from './plan.ts'
import type { ReadDeps } from './source-file.ts'

export type OciReference = { readonly repository: string; readonly reference: string }

const timeoutMilliseconds = 60_000
const digestPattern = /^sha256:[0-9a-f]{64}$/

/** `oci://registry/name:tag`, `oci://registry/name@sha256:...`; the tag is `latest` where none is named. */
export function parseOci(text: string): OciReference {
  const rest = text.slice('oci://'.length)
  const [repository = '', digest, ...more] = rest.split('@')
  const tag = /^(.*\/[^/:]+):([A-Za-z0-9_][A-Za-z0-9._-]{0,127})$/.exec(repository)
  if (more.length > 0 || (digest !== undefined && !digestPattern.test(digest))) {
    throw usageError(`${text}: behind "@" must stand sha256: and 64 hex digits`)
  }
  return { repository: tag?.[1] ?? repository, reference: digest ?? tag?.[2] ?? 'latest' }
}

/** Asks the registry once what the reference means, and takes digests and sizes from the manifest; no layer is downloaded. */
export async function readOci(
  { repository, reference }: OciReference,
  access: Access,
  selection: Selection,
  deps: ReadDeps,
): Promise<{ digest: string; files: ModelFile[] }> {
  const where = `oci://${repository}`
  const parsed = parseRepository(repository)
  if (parsed === undefined) throw usageError(`${where}: must be oci://REGISTRY/NAME:TAG`)
  const dispatcher = sourceAgent(access.ca)
  const { authorization } = access
  const session = new RegistrySession(parsed, {
    get: (url, request) => follow(url, { dispatcher, ...request }),
    credentials: async () => (authorization === undefined ? undefined : { authorization }),
    now: () => performance.now(),
  })
  try {
    const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(timeoutMilliseconds)])
    const answer = await session.open(`manifests/${reference}`, { accept: acceptedManifests }, signal)
    const bytes = await manifestBytes(answer, `${where}, ${reference}`)
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    if (digestPattern.test(reference) && digest !== reference) {
      throw sourceError(`${where}: the registry sends a manifest with the digest ${digest}, not ${reference}`)
    }
    return { digest, files: filesOf(bytes, selection, where) }
  } catch (error) {
    deps.signal.throwIfAborted()
    if (error instanceof CliError) throw error
    const hint = error instanceof HansaError ? error.hint : hintOf(error)
    throw sourceError(`cannot read ${where}: ${messageOf(error)}`, hint, error)
  } finally {
    await dispatcher.destroy()
  }
}

async function manifestBytes(answer: Answer, what: string): Promise<Buffer> {
  try {
    const { status } = answer
    if (status === 200) return await readBounded(answer.body, longestManifestBytes)
    if (status === 401 || status === 403) {
      throw sourceError(
        `${what}: the registry answers ${status}`,
        'Give credentials with --username and --password-file, or with --token-file; some registries answer so when there is no such repository.',
      )
    }
    if (status === 404) throw sourceError(`${what}: there is no such artifact (404)`, 'Check repository and tag.')
    throw sourceError(`${what}: the registry answers ${status}`)
  } finally {
    await answer.close()
  }
}

function filesOf(bytes: Buffer, { include, exclude }: Selection, where: string): ModelFile[] {
  const layers = parseManifest(bytes)
  const paths = selectPaths([...layers.keys()], { include: include.length > 0 ? include : ['**'], exclude })
  if (paths.length === 0) {
    throw sourceError(
      layers.size === 0 ? `${where} has no layer with a title` : `${where}: no title fits --include and --exclude`,
      layers.size === 0
        ? 'Push the files with a tool that names them, such as `oras push`.'
        : `There are: ${[...layers.keys()].slice(0, 20).join(', ')}.`,
    )
  }
  return paths.map((path) => {
    const layer = layers.get(path)
    if (layer === undefined || !relativePathPattern.test(path) || layer.sizeBytes === 0) {
      throw sourceError(`${where}: ${path} cannot be a file of a Model`, 'Leave it out with --exclude.')
    }
    refusePacked(path, layer)
    return { path, sha256: layer.digest.slice('sha256:'.length), sizeBytes: layer.sizeBytes }
  })
}
