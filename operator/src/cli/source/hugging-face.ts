import { z } from 'zod'
import type { ModelFile } from '../../api/model.ts'
import { relativePathPattern } from '../../api/scalar.ts'
import { readBounded } from '../../oci/session.ts'
import { messageOf } from '../../process/errors.ts'
import { CliError, sourceError, usageError } from '../cli-error.ts'
import { follow } from './follow.ts'
import { selectPaths } from './glob.ts'
import { digestHttps, hintOf, sourceAgent } from './https.ts'
import type { Access, Selection } from './plan.ts'
import type { ReadDeps } from './source-file.ts'

export type HubReference = { readonly endpoint: string; readonly repository: string; readonly revision: string }

const longestAnswer = 16 * 1024 * 1024
const mostPages = 100
const timeoutMilliseconds = 60_000

// Of the hub's API as https://huggingface.co/docs/hub/api has it: what is needed here.
const modelSchema = z.object({ sha: z.string().regex(/^[0-9a-f]{40}$/) })
const treeSchema = z.array(
  z.object({
    type: z.string(),
    path: z.string().max(4096),
    size: z.int().min(0),
    lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().min(0) }).optional(),
  }),
)
type Entry = z.infer<typeof treeSchema>[number]

/** `hf://org/name[@revision]`; the revision is `main` where none is named. */
export function parseHub(text: string, endpoint: string): HubReference {
  const [repository = '', revision = 'main', ...more] = text.slice('hf://'.length).split('@')
  if (more.length > 0 || !/^[A-Za-z0-9._/-]{1,255}$/.test(revision) || revision.split('/').includes('..')) {
    throw usageError(`${text}: behind "@" must stand a branch, a tag or a commit`)
  }
  return { endpoint, repository, revision }
}

/**
 * Resolves the revision to a commit once and lists its files. Large files have their SHA-256 in the hub's answer; small ones are
 * downloaded to compute it.
 */
export async function readHub(
  { endpoint, repository, revision }: HubReference,
  options: Access & {
    readonly selection: Selection
    readonly entrypoint: string | undefined
    readonly maxBytes: number
  },
  deps: ReadDeps,
): Promise<{ commit: string; files: ModelFile[] }> {
  const dispatcher = sourceAgent(options.ca)
  const { authorization } = options

  async function call(url: URL): Promise<{ value: unknown; next: URL | undefined }> {
    const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(timeoutMilliseconds)])
    const answer = await follow(url, { dispatcher, signal, authorization, headers: { accept: 'application/json' } })
    try {
      if (answer.status !== 200) throw refusal(`hf://${repository}, ${revision}`, answer.status)
      const value: unknown = JSON.parse((await readBounded(answer.body, longestAnswer)).toString('utf8'))
      const link = /<([^>]{1,4096})>;\s*rel="next"/.exec(String(answer.headers.link ?? ''))?.[1]
      const next = link === undefined ? undefined : new URL(link, url)
      // Else the hub could have the token sent elsewhere.
      if (next !== undefined && next.origin !== url.origin)
        throw sourceError(`${url.host} continues its list at ${next.host}`)
      return { value, next }
    } finally {
      await answer.close()
    }
  }

  try {
    const api = new URL(`${endpoint}api/models/${repository}/`)
    const { sha: commit } = modelSchema.parse(
      (await call(new URL(`revision/${encodeURIComponent(revision)}`, api))).value,
    )
    const entries: Entry[] = []
    let page: URL | undefined = new URL(`tree/${commit}?recursive=true`, api)
    for (let pages = 0; page !== undefined; pages += 1) {
      if (pages === mostPages) throw sourceError(`hf://${repository} has too many files to list`)
      const { value, next } = await call(page)
      entries.push(...treeSchema.parse(value))
      page = next
    }
    const chosen = choose(entries, options.selection, options.entrypoint, repository)
    const small = chosen.filter(({ lfs }) => lfs === undefined).map(({ path }) => path)
    const folder = `${endpoint}${repository}/resolve/${commit}/`
    const { ca, maxBytes } = options
    const digested = await digestHttps({ folder, paths: small, maxBytes, ca, authorization }, deps)
    const files = chosen.flatMap(({ path, lfs }) =>
      lfs === undefined
        ? digested.filter((file) => file.path === path)
        : [{ path, sha256: lfs.oid, sizeBytes: lfs.size }],
    )
    return { commit, files }
  } catch (error) {
    deps.signal.throwIfAborted()
    if (error instanceof CliError) throw error
    if (error instanceof z.ZodError || error instanceof SyntaxError) {
      throw sourceError(`${new URL(endpoint).host} does not answer as a Hugging Face hub does`, 'Check --endpoint.')
    }
    throw sourceError(`cannot read hf://${repository}: ${messageOf(error)}`, hintOf(error), error)
  } finally {
    await dispatcher.destroy()
  }
}

/** Files that belong to a model on ONNX: graph, the data outside of it, tokenizer, configuration. */
function defaultInclude(entrypoint: string | undefined): string[] {
  const graph = entrypoint === undefined ? '**/*.onnx' : `/${entrypoint}`
  return [graph, `${graph}_data*`, `${graph}.data*`, '/tokenizer.json', '/config.json']
}

function choose(
  entries: readonly Entry[],
  { include, exclude }: Selection,
  entrypoint: string | undefined,
  repository: string,
): Entry[] {
  const files = new Map(entries.filter(({ type }) => type === 'file').map((entry) => [entry.path, entry]))
  const globs = include.length > 0 ? include : defaultInclude(entrypoint)
  const found = selectPaths([...files.keys()], { include: globs, exclude })
  const graphs = found.filter((path) => path.endsWith('.onnx'))
  if (entrypoint === undefined && include.length === 0 && graphs.length > 1) {
    throw usageError(
      `hf://${repository} has several .onnx files: ${graphs.slice(0, 20).join(', ')}`,
      `Choose one, such as --entrypoint ${graphs[0]}: the others are then left out.`,
    )
  }
  if (graphs.length === 0 && include.length === 0) {
    throw sourceError(
      `hf://${repository} has ${entrypoint === undefined ? 'no .onnx file' : `no file ${entrypoint}`}`,
      'Export the model to ONNX first, or name its files with --include.',
    )
  }
  const bad = found.find((path) => !relativePathPattern.test(path))
  if (bad !== undefined)
    throw sourceError(`${bad}: a Model cannot have a file of this name`, 'Leave it out with --exclude.')
  if (found.length === 0) throw sourceError(`hf://${repository}: no file fits --include and --exclude`)
  return found.flatMap((path) => files.get(path) ?? [])
}

function refusal(what: string, status: number): CliError {
  if (status === 401 || status === 403 || status === 404) {
    return sourceError(
      `${what}: the hub answers ${status}`,
      'Check repository and revision; a private or gated one needs --token-file.',
    )
  }
  return sourceError(`${what}: the hub answers ${status}`, status === 429 ? 'Wait, or give --token-file.' : undefined)
}
