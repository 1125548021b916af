import { execFile } from 'node:child_process'
import { access, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

const repository = fileURLToPath(new URL('../../..', import.meta.url))
const run = promisify(execFile)
const images = ['operator', 'worker-image'] as const

test.for(images)('%s/Dockerfile copies only what is in the repository and not ignored', async (image) => {
  const instructions = parseDockerfile(await readFile(join(repository, image, 'Dockerfile'), 'utf8'))
  const ignore = await readFile(join(repository, image, 'Dockerfile.dockerignore'), 'utf8')
  const allowed = ignore.split('\n').flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []))
  const copied = instructions
    .filter(({ name, rest }) => name === 'COPY' && !rest.startsWith('--from='))
    .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1))
    .map((path) => path.replace(/\/$/, ''))
  expect(copied).toContain(`${image}/src`)
  for (const path of copied) {
    await access(join(repository, path))
    expect(
      allowed.some((prefix) => path === prefix || path.startsWith(`${prefix}/`)),
      `${path} is ignored by ${image}/Dockerfile.dockerignore`,
    ).toBe(true)
  }
})

test.for(images)('%s/Dockerfile runs as nobody, without install scripts, what the chart starts', async (image) => {
  const instructions = parseDockerfile(await readFile(join(repository, image, 'Dockerfile'), 'utf8'))
  const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'))
  expect(last.filter(({ name }) => name === 'USER')).toEqual([{ name: 'USER', rest: '65532:65532' }])
  expect(last.find(({ name }) => name === 'ENTRYPOINT')?.rest).toBe(`["node", "${image}/src/main.ts"]`)
  // Nothing runs in the final stage, so nothing but the listed files gets into it.
  expect(last.filter(({ name }) => name === 'RUN' || name === 'ADD')).toEqual([])
  const npm = instructions.filter(({ name, rest }) => name === 'RUN' && rest.includes('npm'))
  expect(npm).toHaveLength(1)
  expect(npm[0]?.rest).toMatch(/^npm ci --omit=dev --ignore-scripts --workspace @hansa\/(operator|worker)$/)
})

const lockSchema = z.object({
  packages: z.record(
    z.string(),
    z.object({
      link: z.boolean().optional(),
      resolved: z.string().optional(),
      dependencies: z.record(z.string(), z.string()).optional(),
      optionalDependencies: z.record(z.string(), z.string()).optional(),
    }),
  ),
})

test('nothing of ONNX Runtime is among what the operator depends on, and it is among what the worker does', async () => {
  const operator = await dependencies('operator')
  expect(operator).toContain('node_modules/undici')
  expect(operator.filter((path) => /onnx/i.test(path))).toEqual([])
  expect(await dependencies('worker-image')).toContain('node_modules/onnxruntime-node')
})

test('the operator needs none of the install scripts that its image does not run', async () => {
  const lock: unknown = JSON.parse(await readFile(join(repository, 'package-lock.json'), 'utf8'))
  const scripted = z
    .object({ packages: z.record(z.string(), z.looseObject({ hasInstallScript: z.boolean().optional() })) })
    .parse(lock)
  const needed = await dependencies('operator')
  const withScripts = needed.filter((path) => scripted.packages[path]?.hasInstallScript)
  // protobufjs' script only prints advice about version ranges.
  expect(withScripts.filter((path) => !path.endsWith('/protobufjs'))).toEqual([])
})

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-prune-'))
})
afterAll(() => rm(folder, { recursive: true }))

test('pruning leaves the libraries of one platform, with which a session can be made', async () => {
  const pruned = join(folder, 'onnxruntime-node')
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
  await cp(join(repository, 'node_modules/onnxruntime-node'), pruned, { recursive: true })
  await run('sh', [join(repository, 'worker-image/prune-onnxruntime.sh'), pruned, architecture])
  const { stdout } = await run('find', [join(pruned, 'bin'), '-type', 'f'])
  const files = stdout.trim().split('\n')
  expect(files.length).toBeGreaterThan(0)
  for (const file of files) expect(file).toContain(`/linux/${process.arch}/`)
  const probe = `import(${JSON.stringify(join(pruned, 'dist/index.js'))})
    .then((ort) => ort.default.InferenceSession.create(new Uint8Array([1])))
    .catch((error) => console.log(error.message))`
  await mkdir(join(folder, 'node_modules'))
  await cp(join(repository, 'node_modules/onnxruntime-common'), join(folder, 'node_modules/onnxruntime-common'), {
    recursive: true,
  })
  // The library answers that this is no model: it was loaded.
  const loaded = await run(process.execPath, ['--eval', probe], { timeout: 60_000 })
  expect(loaded.stdout).toMatch(/protobuf|model/i)
})

test('pruning refuses a processor that ONNX Runtime is not made for, and a folder that has another layout', async () => {
  const script = join(repository, 'worker-image/prune-onnxruntime.sh')
  const layout = join(folder, 'layout')
  await mkdir(join(layout, 'bin/napi-v9'), { recursive: true })
  await writeFile(join(layout, 'bin/napi-v9/binding.node'), '')
  await expect(run('sh', [script, layout, 's390x'])).rejects.toThrow('no ONNX Runtime for s390x')
  await expect(run('sh', [script, layout, 'amd64'])).rejects.toThrow('bin/napi-v9/linux/x64 is missing')
})

/** Paths of all packages below `node_modules` that npm installs for a workspace, from the lock file. */
async function dependencies(workspace: string): Promise<string[]> {
  const { packages } = lockSchema.parse(JSON.parse(await readFile(join(repository, 'package-lock.json'), 'utf8')))
  const seen = new Set<string>()
  const visit = (path: string) => {
    const entry = packages[path]
    if (entry === undefined || seen.has(path)) return
    seen.add(path)
    if (entry.link && entry.resolved !== undefined) visit(entry.resolved)
    for (const name of Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })) {
      const found = resolvePackage(path, name, packages)
      if (found !== undefined) visit(found)
    }
  }
  visit(workspace)
  return [...seen]
}

/** Node's lookup: the nearest node_modules folder upwards that has the package. */
function resolvePackage(from: string, name: string, packages: object): string | undefined {
  for (let at = from; ; at = at.includes('/') ? at.slice(0, at.lastIndexOf('/')) : '') {
    const path = at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`
    if (Object.hasOwn(packages, path)) return path
    if (at === '') return undefined
  }
}

function parseDockerfile(text: string): { name: string; rest: string }[] {
  return text
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => {
      const [name = '', ...rest] = line.split(' ')
      return { name, rest: rest.join(' ') }
    })
}
