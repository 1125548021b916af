import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { clusterFromPod } from './in-cluster.ts'
import { clusterFromKubeConfig } from './kube-config.ts'
import { createManualClock } from './manual-clock.ts'

let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hansa-access-'))
})
afterEach(() => rm(dir, { recursive: true }))

const write = (file: string, text: string) => writeFile(join(dir, file), text)

async function kubeconfig(user: object): Promise<string> {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'main',
    clusters: [{ name: 'c', cluster: { server: 'https://api.example:6443', 'tls-server-name': 'kubernetes' } }],
    users: [{ name: 'u', user }],
    contexts: [
      { name: 'main', context: { cluster: 'c', user: 'u', namespace: 'team' } },
      { name: 'broken', context: { cluster: 'c', user: 'nobody' } },
    ],
  }
  await write('config', JSON.stringify(config))
  return join(dir, 'config')
}

test('a kubeconfig gives server, namespace, TLS name and token', async () => {
  const path = await kubeconfig({ token: 'secret' })
  const cluster = await clusterFromKubeConfig({ path })
  expect(cluster).toMatchObject({ name: 'main', server: 'https://api.example:6443', namespace: 'team' })
  expect(cluster.tls()).toEqual({ servername: 'kubernetes' })
  expect(await cluster.headers(false)).toEqual({ authorization: 'Bearer secret' })
})

test('a kubeconfig that starts a program is refused, unless it may', async () => {
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: join(dir, 'plugin'), interactiveMode: 'Never' }
  const path = await kubeconfig({ exec })
  await expect(clusterFromKubeConfig({ path })).rejects.toMatchObject({ reason: 'KubeConfigExecRefused' })
  const credential = { apiVersion: exec.apiVersion, kind: 'ExecCredential', status: { token: 'made' } }
  await writeFile(exec.command, `#!/bin/sh\necho '${JSON.stringify(credential)}'\n`, { mode: 0o700 })
  const cluster = await clusterFromKubeConfig({ path, allowExec: true })
  expect(await cluster.headers(false)).toEqual({ authorization: 'Bearer made' })
})

test('a context without a user is refused', async () => {
  const path = await kubeconfig({ token: 'x' })
  const refused = clusterFromKubeConfig({ path, context: 'broken' })
  await expect(refused).rejects.toMatchObject({ reason: 'KubeConfigInvalid', retry: 'never' })
})

test("a pod's token and authority are read again after a minute, or at once when they were refused", async () => {
  const clock = createManualClock()
  await write('namespace', 'ns\n')
  await write('token', 'first\n')
  await write('ca.crt', 'old')
  const cluster = await clusterFromPod({ serviceAccountDir: dir, host: 'fd00::1', port: '443', clock })
  expect(cluster).toMatchObject({ server: 'https://[fd00::1]:443', namespace: 'ns' })
  const tls = cluster.tls()
  await write('token', 'second')
  expect(await cluster.headers(false)).toEqual({ authorization: 'Bearer first' })
  expect(await cluster.headers(true)).toEqual({ authorization: 'Bearer second' })
  expect(cluster.tls()).toBe(tls)
  await write('token', 'third')
  await write('ca.crt', 'new')
  await clock.advance(60_000)
  expect(await cluster.headers(false)).toEqual({ authorization: 'Bearer third' })
  expect(cluster.tls()).toEqual({ ca: 'new' })
})
