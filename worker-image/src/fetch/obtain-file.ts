import { join } from 'node:path/posix'
import { copyLocal } from './copy-local.ts'
import { type CredentialsDeps, readCredentials } from './credentials.ts'
import { type DownloadDeps, download, type WantedFile } from './download.ts'
import { FetchError } from './fetch-error.ts'
import { huggingFaceSource } from './hugging-face-source.ts'
import type { ModelRequest } from './model-record.ts'
import { ociSource } from './oci-source.ts'
import { openSource, type SourceDeps } from './open-source.ts'
import { openPeerBlob, type PeerBlobs } from './peer-source.ts'

export type ObtainDeps = SourceDeps &
  Omit<DownloadDeps, 'progress'> & {
    localRoot: string | undefined
    /** Our gateway, which has the connections to peers; undefined: no owner is joined. */
    peerBlobs: PeerBlobs | undefined
    credentials: CredentialsDeps
  }

/** Brings one file into the file `part`, checked for size and digest. */
export type ObtainFile = (wanted: WantedFile, part: string, progress: DownloadDeps['progress']) => Promise<void>

export type SourceKind = 'https' | 'oci' | 'huggingFace' | 'local' | 'peer'

export function sourceKind({ https, oci, huggingFace, peer }: ModelRequest['source']): SourceKind {
  if (https !== undefined) return 'https'
  if (oci !== undefined) return 'oci'
  if (huggingFace !== undefined) return 'huggingFace'
  return peer === undefined ? 'local' : 'peer'
}

/** How one attempt at a model gets its files, several at once if need be; `signal` ends all of them. */
export function obtainFrom(
  request: Pick<ModelRequest, 'namespace' | 'source'>,
  signal: AbortSignal,
  deps: ObtainDeps,
): ObtainFile {
  const { namespace, source } = request
  const { https, oci, huggingFace, local, peer } = source
  if (oci !== undefined) return ociSource(namespace, oci, signal, deps)
  if (huggingFace !== undefined) return huggingFaceSource(namespace, huggingFace, signal, deps)
  return async (wanted, part, progress) => {
    if (https !== undefined) {
      const secret = https.credentialsSecretName
      const credentials =
        secret === undefined
          ? undefined
          : (await readCredentials(namespace, secret, signal, deps.credentials)).authorization
      // Both parts have been held to plain characters, so that nothing is left to two ways of parsing.
      const url = new URL(https.url + wanted.path)
      const open = (headers: Record<string, string>, stop: AbortSignal) =>
        openSource(url, { headers, credentials, signal: stop }, deps)
      await download({ open, host: url.host }, wanted, part, signal, { ...deps, progress })
    } else if (peer !== undefined) {
      const open = (headers: Record<string, string>, stop: AbortSignal) =>
        openPeerBlob({ ...peer, namespace, sha256: wanted.sha256 }, headers, stop, deps.peerBlobs)
      await download({ open, host: `peer ${peer.peerName}` }, wanted, part, signal, { ...deps, progress })
    } else if (local !== undefined) {
      if (deps.localRoot === undefined) {
        throw new FetchError('LocalSourceDisabled', 'no local root is set for the fetch worker', {
          retry: 'after',
          afterSeconds: 300,
        })
      }
      await copyLocal(deps.localRoot, join(local.path, wanted.path), wanted, part, { signal, progress })
    }
  }
}
