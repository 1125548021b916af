import { join } from 'node:path/posix'
import { copyLocal } from './copy-local.ts'
import { type CredentialsDeps, readCredentials } from './credentials.ts'
import { type DownloadDeps, download, type WantedFile } from './download.ts'
import { FetchError } from './fetch-error.ts'
import type { ModelRequest } from './model-record.ts'

export type ObtainDeps = Omit<DownloadDeps, 'progress'> & {
  localRoot: string | undefined
  credentials: CredentialsDeps
}

/** Brings one file of a model from its source into the file `part`, checked for size and digest. */
export async function obtainFile(
  request: Pick<ModelRequest, 'namespace' | 'source'>,
  wanted: WantedFile,
  part: string,
  call: { signal: AbortSignal; progress: DownloadDeps['progress'] },
  deps: ObtainDeps,
): Promise<void> {
  const { https, local } = request.source
  if (https !== undefined) {
    const secret = https.credentialsSecretName
    const credentials =
      secret === undefined ? undefined : await readCredentials(request.namespace, secret, call.signal, deps.credentials)
    // Both parts have been held to plain characters, so that nothing is left to two ways of parsing.
    const url = new URL(https.url + wanted.path)
    await download(url, wanted, part, { credentials, signal: call.signal }, { ...deps, progress: call.progress })
  } else if (local !== undefined) {
    if (deps.localRoot === undefined) {
      throw new FetchError('LocalSourceDisabled', 'no local root is set for the fetch worker', {
        retry: 'after',
        afterSeconds: 300,
      })
    }
    await copyLocal(deps.localRoot, join(local.path, wanted.path), wanted, part, call)
  }
}
