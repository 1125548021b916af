import { createHash } from 'node:crypto'
import {
  acceptedManifests,
  type Layer,
  longestManifestBytes,
  parseManifest,
  refusePacked,
} from '@hansa/operator/oci/manifest.ts'
import { parseRepository } from '@hansa/operator/oci/repository.ts'
import { RegistrySession, readBounded } from '@hansa/operator/oci/session.ts'
import { HansaError, messageOf } from '@hansa/operator/process/errors.ts'
import { ModelRefused } from '../model/model-refused.ts'
import { type CredentialsDeps, readCredentials } from './credentials.ts'
import { type DownloadDeps, download, type WantedFile } from './download.ts'
import { FetchError } from './fetch-error.ts'
import type { ModelRequest } from './model-record.ts'
import { openSource, type SourceDeps } from './open-source.ts'
import { refusedStatus } from './refused-status.ts'

type OciSource = NonNullable<ModelRequest['source']['oci']>

export type OciDeps = SourceDeps &
  Omit<DownloadDeps, 'progress'> & { credentials: CredentialsDeps; manifestTimeoutMs?: number }

/**
 * Files of an OCI artifact. Its manifest is fetched once, by its digest, when the first file is asked for; a file whose layer has
 * another digest or size than the Model says is refused before a byte of it is read.
 */
export function ociSource(namespace: string, source: OciSource, signal: AbortSignal, deps: OciDeps) {
  const repository = parseRepository(source.repository)
  if (repository === undefined) {
    throw new FetchError('SourceUnreachable', 'the repository names no registry', { retry: 'never' })
  }
  const secret = source.credentialsSecretName
  const session = new RegistrySession(repository, {
    get: (url, { headers, authorization, signal }) =>
      openSource(url, { headers, credentials: authorization, signal }, deps),
    credentials: async (signal) =>
      secret === undefined ? undefined : readCredentials(namespace, secret, signal, deps.credentials),
    now: () => performance.now(),
  })
  let layers: Promise<ReadonlyMap<string, Layer>> | undefined

  return async (wanted: WantedFile, part: string, progress: DownloadDeps['progress']): Promise<void> => {
    layers ??= readLayers(session, source.digest, signal, deps.manifestTimeoutMs ?? 60_000)
    const layer = wantedLayer(await layers, wanted)
    const open = async (headers: Record<string, string>, stop: AbortSignal) =>
      session.open(`blobs/${layer.digest}`, headers, stop)
    await download({ open, host: repository.registry.host }, wanted, part, signal, { ...deps, progress })
  }
}

async function readLayers(
  session: RegistrySession,
  digest: string,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<ReadonlyMap<string, Layer>> {
  const deadline = AbortSignal.timeout(timeoutMs)
  try {
    const answer = await session.open(
      `manifests/${digest}`,
      { accept: acceptedManifests },
      AbortSignal.any([signal, deadline]),
    )
    try {
      if (answer.status !== 200) throw refusedStatus('the registry', answer)
      const bytes = await readBounded(answer.body, longestManifestBytes)
      const found = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
      if (found !== digest) {
        throw new ModelRefused(
          'DigestMismatch',
          `the registry sends a manifest with the digest ${found}, not ${digest}`,
        )
      }
      return parseManifest(bytes)
    } finally {
      await answer.close()
    }
  } catch (error) {
    signal.throwIfAborted()
    if (deadline.aborted) {
      throw new FetchError('SourceStalled', `the registry did not send the manifest in ${timeoutMs / 1000} s`)
    }
    if (error instanceof HansaError) throw error
    throw new FetchError('SourceUnreachable', `the connection to the registry broke: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** The layer of a file; throws for any that cannot be this file, since its download would be for nothing. */
function wantedLayer(layers: ReadonlyMap<string, Layer>, wanted: WantedFile): Layer {
  const file = wanted.path
  const layer = layers.get(file)
  if (layer === undefined) throw new ModelRefused('SourceNotFound', 'no layer of the artifact has this title', { file })
  refusePacked(file, layer)
  if (layer.sizeBytes !== wanted.sizeBytes) {
    throw new ModelRefused('SizeMismatch', `has ${layer.sizeBytes} bytes in the manifest, not ${wanted.sizeBytes}`, {
      file,
    })
  }
  if (layer.digest !== `sha256:${wanted.sha256}`) {
    throw new ModelRefused(
      'DigestMismatch',
      `has the digest ${layer.digest} in the manifest, not sha256:${wanted.sha256}`,
      {
        file,
      },
    )
  }
  return layer
}
