import { ModelRefused } from '../model/model-refused.ts'
import { type CredentialsDeps, readCredentials } from './credentials.ts'
import { type DownloadDeps, download, type WantedFile } from './download.ts'
import { FetchError } from './fetch-error.ts'
import type { ModelRequest } from './model-record.ts'
import { openSource, type SourceDeps, type SourceResponse } from './open-source.ts'
import { refusedStatus } from './refused-status.ts'

type HuggingFaceSource = NonNullable<ModelRequest['source']['huggingFace']>

export type HuggingFaceDeps = SourceDeps & Omit<DownloadDeps, 'progress'> & { credentials: CredentialsDeps }

/** What the hub says in `X-Error-Code`; other words are not repeated. */
const errorCodes: Readonly<Record<string, string>> = {
  GatedRepo: ': the repository is gated, its terms must be accepted by the owner of the token',
  RepoNotFound: ': there is no such repository, or it is private and the credentials do not open it',
  RevisionNotFound: ': there is no such commit in the repository',
  EntryNotFound: ': the commit has no such file',
}

/** Files of one commit: `<endpoint><repository>/resolve/<commit>/<path>`, large ones by a redirect to their storage. */
export function huggingFaceSource(
  namespace: string,
  source: HuggingFaceSource,
  signal: AbortSignal,
  deps: HuggingFaceDeps,
) {
  return async (wanted: WantedFile, part: string, progress: DownloadDeps['progress']): Promise<void> => {
    const secret = source.credentialsSecretName
    const credentials =
      secret === undefined
        ? undefined
        : (await readCredentials(namespace, secret, signal, deps.credentials)).authorization
    if (credentials?.startsWith('Bearer ') === false) {
      throw new FetchError('CredentialsNotGranted', `Secret ${secret} has no key token, which a hub wants`, {
        retry: 'after',
        afterSeconds: 30,
      })
    }
    const url = new URL(`${source.endpoint}${source.repository}/resolve/${source.revision}/${wanted.path}`)
    const open = async (headers: Record<string, string>, stop: AbortSignal) => {
      const inspect = (answer: SourceResponse['headers']) => refuseOther(answer, wanted)
      const response = await openSource(url, { headers, credentials, signal: stop, inspect }, deps)
      if (response.status < 400 || response.status === 416) return response
      const code = response.url.origin === url.origin ? String(response.headers['x-error-code']) : ''
      await response.close()
      const detail = Object.hasOwn(errorCodes, code) ? errorCodes[code] : ''
      throw refusedStatus('the hub', response, detail)
    }
    await download({ open, host: url.host }, wanted, part, signal, { ...deps, progress })
  }
}

/** Size and digest that the hub announces for files on its large file storage: only ever a reason to stop early. */
function refuseOther(headers: SourceResponse['headers'], wanted: WantedFile): void {
  const file = wanted.path
  const size = String(headers['x-linked-size'] ?? '')
  if (/^\d{1,15}$/.test(size) && Number(size) !== wanted.sizeBytes) {
    throw new ModelRefused('SizeMismatch', `has ${size} bytes at the hub, not ${wanted.sizeBytes}`, { file })
  }
  const digest = /^(?:W\/)?"?([0-9a-f]{64})"?$/.exec(String(headers['x-linked-etag'] ?? ''))?.[1]
  if (digest !== undefined && digest !== wanted.sha256) {
    throw new ModelRefused('DigestMismatch', `has the SHA-256 ${digest} at the hub, not ${wanted.sha256}`, { file })
  }
}
