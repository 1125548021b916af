import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Authority } from '@hansa/operator/identity/authority.ts'
import { onTestFinished } from 'vitest'
import { type ModelSource, sends, sha256, startModelSource } from './model-source.ts'

export const commit = '8b3219a92973c328a8e22fadcfa821b5dc75636a'

export type FakeHub = {
  source: ModelSource
  /** `https://<host>:<port>/`. */
  endpoint: string
  /** Host names of requests to the storage of large files. */
  storageHits(): ModelSource['hits']
}

export type FakeHubOptions = {
  /** Names of hub and storage; both must lead to this machine for the client. */
  hub?: string
  storage?: string
  /** Bearer token without which the repository looks as if it were not there. */
  token?: string
  /** With this token it is seen, but its terms have not been accepted. */
  gatedToken?: string
  pageSize?: number
  /** Paths that the large file storage holds; default: what ends in .onnx or .bin. */
  isLarge?: (path: string) => boolean
}

/**
 * A FAKE of the Hugging Face hub, since the real one cannot run here: one model repository with the branch `main`, the tag `v1.0`
 * and one commit. It follows the published API (huggingface.co/docs/hub/api and huggingface_hub's `hf_api.py` and
 * `file_download.py`, as of huggingface_hub 1.0): `/api/models/{repo}/revision/{rev}` with `sha`, `/api/models/{repo}/tree/{rev}`
 * with `type`, `oid`, `size`, `path`, `lfs {oid, size, pointerSize}` and a Link header for the next page, `/{repo}/resolve/{rev}/
 * {path}` with `X-Repo-Commit`, a redirect with `X-Linked-Size` and `X-Linked-Etag` for large files, and `X-Error-Code`.
 */
export async function startFakeHub(
  authority: Authority,
  repository: string,
  files: Readonly<Record<string, Uint8Array>>,
  options: FakeHubOptions = {},
): Promise<FakeHub> {
  const { hub = 'hub.example', storage = 'storage.example', pageSize = 1000 } = options
  const isLarge = options.isLarge ?? ((path: string) => /\.(onnx|bin)$/.test(path))
  const source = await startModelSource(authority, [hub, storage])
  onTestFinished(() => source.close())
  const isStorage = (request: IncomingMessage) => request.headers.host?.startsWith(`${storage}:`) === true
  const revisions = new Set(['main', 'v1.0', commit])
  const refuse = (response: ServerResponse, status: number, code: string) =>
    response.writeHead(status, { 'x-error-code': code, 'x-error-message': code }).end()

  source.fallback = (request, response) => {
    const url = new URL(request.url ?? '/', source.url(hub))
    if (isStorage(request)) {
      const bytes = Object.values(files).find((content) => url.pathname === `/lfs/${sha256(content)}`)
      if (bytes === undefined) response.writeHead(403).end()
      else sends(bytes)(request, response)
      return
    }
    if (options.gatedToken !== undefined && request.headers.authorization === `Bearer ${options.gatedToken}`) {
      refuse(response, 403, 'GatedRepo')
      return
    }
    const known = options.token === undefined || request.headers.authorization === `Bearer ${options.token}`
    const [, api, rest = ''] = /^\/(api\/models\/)?(.*)$/.exec(decodeURIComponent(url.pathname)) ?? []
    if (!known || !rest.startsWith(`${repository}/`)) return void refuse(response, 401, 'RepoNotFound')
    const [what = '', revision = '', ...path] = rest.slice(repository.length + 1).split('/')
    if (!revisions.has(revision)) return void refuse(response, 404, 'RevisionNotFound')
    if (api !== undefined && what === 'revision')
      return void json(response, { id: repository, sha: commit, siblings: [] })
    if (api !== undefined && what === 'tree') return void tree(url, response)
    if (api === undefined && what === 'resolve') return void resolve(path.join('/'), request, response)
    response.writeHead(404).end()
  }

  function tree(url: URL, response: ServerResponse): void {
    const paths = Object.keys(files).sort()
    const from = Number(url.searchParams.get('cursor') ?? 0)
    const next = new URL(url)
    next.searchParams.set('cursor', String(from + pageSize))
    const link = from + pageSize < paths.length ? { link: `<${next}>; rel="next"` } : {}
    json(response, paths.slice(from, from + pageSize).map(entry), link)
  }

  function entry(path: string) {
    const bytes = files[path] ?? Buffer.alloc(0)
    const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
    const lfs = { oid: sha256(bytes), size: bytes.length, pointerSize: 134 }
    return { type: 'file', oid, size: bytes.length, path, ...(isLarge(path) ? { lfs } : {}) }
  }

  function resolve(path: string, request: IncomingMessage, response: ServerResponse): void {
    const bytes = files[path]
    if (bytes === undefined) return void refuse(response, 404, 'EntryNotFound')
    if (!isLarge(path)) {
      response.setHeader('x-repo-commit', commit)
      sends(bytes)(request, response)
      return
    }
    response.writeHead(302, {
      'x-repo-commit': commit,
      'x-linked-size': bytes.length,
      'x-linked-etag': `"${sha256(bytes)}"`,
      location: `https://${storage}:${source.port}/lfs/${sha256(bytes)}`,
    })
    response.end()
  }

  return {
    source,
    endpoint: source.url(hub),
    storageHits: () => source.hits.filter(({ headers }) => headers.host?.startsWith(`${storage}:`)),
  }
}

function json(response: ServerResponse, value: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
}
