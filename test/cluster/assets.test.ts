import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isRecentHelm, isRecentKubectl } from './assets/find.ts'
import { ensureAssets, ensureTools } from './assets.ts'

let folder: string
let bin: string
let env: NodeJS.ProcessEnv

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-assets-'))
  bin = join(folder, 'bin')
  await mkdir(bin)
  env = { PATH: `${bin}:/usr/bin:/bin`, XDG_CACHE_HOME: join(folder, 'cache') }
})

afterEach(() => rm(folder, { recursive: true }))

async function program(name: string, script: string, where = bin): Promise<void> {
  await mkdir(where, { recursive: true })
  await writeFile(join(where, name), `#!/bin/sh\n${script}\n`)
  await chmod(join(where, name), 0o755)
}

/** A `go` that notes each build and writes a file where the real one would. */
const fakeGo = `
while [ "$1" != -o ]; do shift; done
echo "$3" >> ${'$'}LOG
echo some/package >&2
[ -z "$FAIL" ] || { echo 'main.go:1:1: does not compile' >&2; exit 1; }
printf '#!/bin/sh\\n' > "$2"; chmod 755 "$2"`

async function withFakeGo(): Promise<() => Promise<string[]>> {
  const log = join(folder, 'builds')
  env = { ...env, PATH: `${bin}:/bin`, LOG: log }
  await program('go', fakeGo)
  return async () => (await readFile(log, 'utf8')).trim().split('\n')
}

// Neither is installed as far as these tests' PATH says, unless the machine has them in /bin.
const hideInstalled = async () => {
  await program('kubectl', 'echo "Client Version: v1.20.0"')
  await program('helm', 'echo v3.2.0')
}

test('callers at the same time share one build, and later ones need none', async () => {
  const builds = await withFakeGo()
  await hideInstalled()
  const lines: string[] = []
  const [first, second] = await Promise.all([
    ensureAssets({ env, onProgress: (line) => lines.push(line) }),
    ensureAssets({ env }),
  ])
  expect(first).toEqual(second)
  expect(first.kubeApiserver).toMatch(/cache\/hansa\/kube-v1\.36\.3-.*\/kube-apiserver$/)
  expect(await builds()).toEqual(['.', 'go.etcd.io/etcd/server/v3', 'helm.sh/helm/v3/cmd/helm'])
  await ensureAssets({ env })
  expect(await builds()).toHaveLength(3)
})

test('a build says what it does', async () => {
  await withFakeGo()
  const lines: string[] = []
  await ensureAssets({ env, onProgress: (line) => lines.push(line) })
  expect(lines[0]).toMatch(/^building Kubernetes v1\.36\.3 with Go: about 7:10 min/)
  expect(lines[1]).toBe('built Kubernetes v1.36.3 in 0 s')
})

test('a build that fails shows what Go said and leaves nothing half done', async () => {
  await withFakeGo()
  const build = ensureAssets({ env: { ...env, FAIL: '1' } })
  await expect(build).rejects.toThrow(/does not compile/)
  await expect(build).rejects.toMatchObject({ name: 'AssetError', hint: expect.stringContaining('1.26') })
  const [cached = ''] = await readdir(join(folder, 'cache/hansa'))
  expect(await readdir(join(folder, 'cache/hansa', cached))).toEqual([])
})

test('without Go the error says how to get Kubernetes', async () => {
  const nothing = { ...env, PATH: bin }
  await expect(ensureAssets({ env: nothing })).rejects.toThrow(/Install Go 1\.26.*HANSA_KUBE_ASSETS.*HANSA_KUBECONFIG/s)
})

test('a folder of ready programs is used as it is, and what is missing there is named', async () => {
  const given = join(folder, 'given')
  const names = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl', 'helm']
  for (const name of names) await program(name, '', given)
  await hideInstalled()
  const asked = () => ensureAssets({ env: { ...env, HANSA_KUBE_ASSETS: given } })
  await expect(asked()).rejects.toThrow(`missing: ${join(given, 'etcd')}`)
  await program('etcd', '', given)
  expect(await asked()).toMatchObject({ etcd: join(given, 'etcd'), kubectl: join(given, 'kubectl') })
})

test("the user's own kubectl and helm are taken where they are recent, and nothing is built for them", async () => {
  await program('kubectl', 'echo "Client Version: v1.37.1"')
  await program('helm', 'echo v3.18.0+g123')
  expect(await ensureTools({ env })).toEqual({ kubectl: join(bin, 'kubectl'), helm: join(bin, 'helm') })
})

test('kubectl may be one minor version away, and helm 3.14 or newer', () => {
  const kubectl = ['v1.34.9', 'v1.35.0', 'v1.36.3', 'v1.37.0', 'v1.38.0'].map((version) =>
    isRecentKubectl(`Client Version: ${version}\nKustomize Version: v5.8.1\n`),
  )
  expect(kubectl).toEqual([false, true, true, true, false])
  const helm = ['v3.13.3+gabc', 'v3.14.0', 'v3.21.4', 'v4.0.1', 'not helm'].map(isRecentHelm)
  expect(helm).toEqual([false, true, true, true, false])
})
