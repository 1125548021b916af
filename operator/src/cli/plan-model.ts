import { readFile } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import type { z } from 'zod'
import { type ModelSource, modelSourceSchema } from '../api/model.ts'
import { objectNameLength } from '../api/scalar.ts'
import { messageOf } from '../process/errors.ts'
import { usageError } from './cli-error.ts'
import type { ModelAddOptions } from './model-add.ts'
import type { Access, Plan } from './source/plan.ts'

/** How the argument of `model add` is to be read; throws CliError for options that do not go with it. */
export function planModel(source: string, options: ModelAddOptions): Promise<Plan> | Plan {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) {
    refuseOptions(options, ['include', 'exclude', 'username', 'passwordFile', 'endpoint'], 'a folder')
    return planFolder(source, options)
  }
  refuseOptions(options, ['localPath', 'claimName', 'claimPath'], 'a URL')
  if (source.startsWith('oci://')) {
    refuseOptions(options, ['file', 'endpoint'], 'oci://')
    return planOci(source, options)
  }
  if (source.startsWith('hf://')) {
    refuseOptions(options, ['file', 'username', 'passwordFile'], 'hf://')
    return planHub(source, options)
  }
  refuseOptions(options, ['include', 'exclude', 'username', 'passwordFile', 'endpoint'], 'an https URL')
  return planHttps(source, options)
}

/** Options that would silently do nothing are mistakes. */
function refuseOptions(options: ModelAddOptions, names: readonly (keyof ModelAddOptions)[], what: string): void {
  for (const name of names) {
    const value = options[name]
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue
    throw usageError(`--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} does not go with ${what}`)
  }
}

function planHttps(source: string, options: ModelAddOptions): Plan {
  if (!source.startsWith('https://')) throw usageError(`${source}: must be an https URL, oci:// or hf://`)
  const single = !source.endsWith('/')
  if (single && options.file.length > 0) {
    throw usageError('--file goes with the URL of a folder, which ends in "/"', `Did you mean ${source}/ ?`)
  }
  if (!single && options.file.length === 0) {
    throw usageError('a folder URL cannot be listed', 'Name each file with --file PATH.')
  }
  const cut = source.lastIndexOf('/') + 1
  const folder = single ? source.slice(0, cut) : source
  const paths = single ? [source.slice(cut)] : options.file
  const modelSource = check(modelSourceSchema, { https: { url: folder, ...secretOf(options) } }, 'source')
  return {
    name: nameFrom(new URL(folder).pathname),
    read: async (deps) => {
      const { digestHttps } = await import('./source/https.ts')
      const { maxBytes } = options
      const files = await digestHttps({ folder, paths, maxBytes, ...(await accessOf(options)) }, deps)
      return { source: modelSource, files }
    },
  }
}

async function planOci(source: string, options: ModelAddOptions): Promise<Plan> {
  const { parseOci, readOci } = await import('./source/oci.ts')
  const wanted = parseOci(source)
  const sourceWith = (digest: string) =>
    check(modelSourceSchema, { oci: { repository: wanted.repository, digest, ...secretOf(options) } }, 'source')
  sourceWith(`sha256:${'0'.repeat(64)}`)
  const last = wanted.repository.split('/').slice(1).at(-1) ?? ''
  const version = wanted.reference.startsWith('sha256:') || wanted.reference === 'latest' ? '' : `/${wanted.reference}`
  return {
    name: nameFrom(`${last}${version}`),
    read: async (deps) => {
      const { digest, files } = await readOci(wanted, await accessOf(options), options, deps)
      return { source: sourceWith(digest), files }
    },
  }
}

async function planHub(source: string, options: ModelAddOptions): Promise<Plan> {
  const { parseHub, readHub } = await import('./source/hugging-face.ts')
  const wanted = parseHub(source, options.endpoint ?? 'https://huggingface.co/')
  const { endpoint, repository } = wanted
  const sourceWith = (revision: string) =>
    check(modelSourceSchema, { huggingFace: { endpoint, repository, revision, ...secretOf(options) } }, 'source')
  sourceWith('0'.repeat(40))
  const { entrypoint, maxBytes } = options
  return {
    name: nameFrom(repository.split('/').at(-1) ?? ''),
    read: async (deps) => {
      const access = await accessOf(options)
      const { commit, files } = await readHub(wanted, { ...access, selection: options, entrypoint, maxBytes }, deps)
      return { source: sourceWith(commit), files }
    },
  }
}

function planFolder(source: string, options: ModelAddOptions): Plan {
  const { localPath, claimName, claimPath = '' } = options
  if ((localPath === undefined) === (claimName === undefined)) {
    throw usageError(
      'a folder needs either --local-path or --claim-name',
      '--local-path: the folder below the local root of the fetch worker; --claim-name: the volume that holds the files.',
    )
  }
  const modelSource: ModelSource =
    localPath !== undefined ? { local: { path: localPath } } : { pvc: { claimName: claimName ?? '', path: claimPath } }
  check(modelSourceSchema, modelSource, 'source')
  return {
    name: nameFrom(localPath ?? (claimPath === '' ? basename(resolve(source)) : claimPath)),
    read: async (deps) => {
      const { digestFolder } = await import('./source/folder.ts')
      return { source: modelSource, files: await digestFolder(source, options.file, options.maxBytes, deps) }
    },
  }
}

function secretOf({ credentialsSecret }: ModelAddOptions): { credentialsSecretName?: string } {
  return credentialsSecret === undefined ? {} : { credentialsSecretName: credentialsSecret }
}

async function accessOf(options: ModelAddOptions): Promise<Access> {
  const { caFile, tokenFile, username, passwordFile } = options
  const ca = caFile === undefined ? undefined : await readText('--ca-file', caFile)
  if ((username === undefined) !== (passwordFile === undefined)) {
    throw usageError('--username and --password-file go together')
  }
  if (tokenFile !== undefined && username !== undefined) throw usageError('give either --token-file or --username')
  const token = tokenFile === undefined ? undefined : (await readText('--token-file', tokenFile)).trim()
  if (username === undefined || passwordFile === undefined) {
    return { ca, authorization: token === undefined ? undefined : `Bearer ${token}` }
  }
  const password = (await readText('--password-file', passwordFile)).trim()
  return { ca, authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` }
}

/** `triage/v3/` gives `triage-v3`: the last two parts of a path, as far as a name may hold them. */
export function nameFrom(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '')
    .slice(-2)
    .join('-')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, objectNameLength)
    .replace(/-+$/, '')
}

/** The same bounds as the API server's, said before anything is downloaded or printed. */
export function check<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw usageError(`the ${what} would be refused: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`)
}

async function readText(option: string, path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error) => {
    throw usageError(`${option} ${path}: ${messageOf(error)}`)
  })
}
