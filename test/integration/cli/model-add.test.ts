import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { createServer, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryIo } from '@hansa/operator/cli/memory-io.ts'
import { runProgram } from '@hansa/operator/cli/run-program.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { createAuthority } from '../../cluster/owner/certificates.ts'

const bytes = randomBytes(3_000_000)
const sha256 = createHash('sha256').update(bytes).digest('hex')
const token = 'a token of the source'
const seen: { host: string; authorization: string | undefined }[] = []

let folder = ''
let source: Server | undefined
let mirror: Server | undefined
let sourceUrl = ''

const answer =
  (host: string): RequestListener =>
  (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'https://x')
    seen.push({ host, authorization: request.headers.authorization })
    const send = (body: Buffer, headers = {}) =>
      response.writeHead(200, { 'content-length': body.length, ...headers }).end(body)
    if (pathname === '/m/v1/model.onnx') return send(bytes)
    if (pathname === '/m/v1/chunked.onnx') return response.writeHead(200).end(bytes)
    if (pathname === '/m/v1/moved.onnx')
      return response.writeHead(302, { location: `${mirrorUrl()}/m/v1/model.onnx` }).end()
    if (pathname === '/m/v1/plain.onnx') return response.writeHead(302, { location: 'http://127.0.0.1:1/x' }).end()
    if (pathname === '/m/v1/loop.onnx') return response.writeHead(302, { location: '/m/v1/loop.onnx' }).end()
    if (pathname === '/m/v1/zipped.onnx') return send(bytes, { 'content-encoding': 'gzip' })
    if (pathname === '/m/v1/secret.onnx') return response.writeHead(401).end()
    if (pathname === '/m/v1/flaky.onnx' || pathname === '/m/v1/changing.onnx') {
      const offset = Number(/^bytes=([0-9]+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
      const end = Math.min(offset + 1_200_000, bytes.length)
      const etag = pathname.includes('flaky') ? '"one"' : `"${offset}"`
      const partial = offset > 0 && request.headers['if-range'] === etag
      const range = { 'content-range': `bytes ${offset}-${bytes.length - 1}/${bytes.length}` }
      const length = { 'content-length': bytes.length - (partial ? offset : 0), etag }
      response.writeHead(partial ? 206 : 200, { ...length, ...(partial ? range : {}) })
      response.write(bytes.subarray(partial ? offset : 0, end), () => {
        if (end === bytes.length) response.end()
        else setTimeout(() => response.destroy(), 100)
      })
      return undefined
    }
    if (pathname === '/m/v1/short.onnx') {
      response.writeHead(200, { 'content-length': bytes.length })
      response.write(bytes.subarray(0, 1000), () => response.destroy())
      return undefined
    }
    return response.writeHead(404).end()
  }

function portOf(server: Server | undefined): number {
  const address = server?.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
const mirrorUrl = () => `https://127.0.0.1:${portOf(mirror)}`

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-cli-'))
  const authority = await createAuthority('test')
  const { certPem, keyPem } = await authority.issue({ commonName: 'source', ipAddresses: ['127.0.0.1'] })
  await writeFile(join(folder, 'ca.pem'), authority.certPem)
  await writeFile(join(folder, 'token'), `${token}\n`)
  const listen = (host: string) =>
    new Promise<Server>((done) => {
      const server = createServer({ cert: certPem, key: keyPem }, answer(host))
      server.listen(0, '127.0.0.1', () => done(server))
    })
  source = await listen('source')
  mirror = await listen('mirror')
  sourceUrl = `https://127.0.0.1:${portOf(source)}`
})
afterAll(async () => {
  for (const server of [source, mirror]) {
    server?.closeAllConnections()
    server?.close()
  }
  await rm(folder, { recursive: true, force: true })
})

async function add(...args: string[]) {
  const io = memoryIo()
  const connect = () => Promise.reject(new Error('model add needs no cluster'))
  const code = await runProgram(['model', 'add', ...args], {
    io,
    connect,
    version: '0',
    signal: AbortSignal.timeout(30_000),
  })
  return { code, output: io.output(), errors: io.errors() }
}
const ca = () => ['--ca-file', join(folder, 'ca.pem')]

test('a single-file URL becomes a Model with its digest and size, and progress goes to stderr', async () => {
  const { code, output, errors } = await add(`${sourceUrl}/m/v1/model.onnx`, ...ca())
  expect(errors).toBe('model.onnx: 2.9 MiB of 2.9 MiB\n')
  expect(code).toBe(0)
  expect(parse(output)).toEqual({
    apiVersion: 'hansa.dev/v1alpha1',
    kind: 'Model',
    metadata: { name: 'm-v1' },
    spec: {
      format: 'ONNX',
      source: { https: { url: `${sourceUrl}/m/v1/` } },
      files: [{ path: 'model.onnx', sha256, sizeBytes: bytes.length }],
    },
  })
})

test('files of a folder URL are listed, also without a length', async () => {
  const { code, output } = await add(
    `${sourceUrl}/m/v1/`,
    ...ca(),
    ...['--file', 'model.onnx', 'chunked.onnx', '--entrypoint', 'model.onnx', '--credentials-secret', 'source'],
  )
  expect(code).toBe(0)
  const { spec } = parse(output)
  expect(spec.files.map((file: { sha256: string }) => file.sha256)).toEqual([sha256, sha256])
  expect(spec.source.https.credentialsSecretName).toBe('source')
})

test('a token goes to the source, never to where it redirects', async () => {
  seen.length = 0
  const { code } = await add(`${sourceUrl}/m/v1/moved.onnx`, ...ca(), '--token-file', join(folder, 'token'))
  expect(code).toBe(0)
  expect(seen).toEqual([
    { host: 'source', authorization: `Bearer ${token}` },
    { host: 'mirror', authorization: undefined },
  ])
})

test('a download that breaks off is continued, and the digest is that of the whole file', async () => {
  seen.length = 0
  const { code, output } = await add(`${sourceUrl}/m/v1/flaky.onnx`, ...ca())
  expect(code).toBe(0)
  expect(parse(output).spec.files).toEqual([{ path: 'flaky.onnx', sha256, sizeBytes: bytes.length }])
  expect(seen.length).toBeGreaterThanOrEqual(3)
})

test.each([
  ['missing.onnx', 'there is no such file (404)'],
  ['secret.onnx', 'Give credentials with --token-file'],
  ['plain.onnx', 'which is not https'],
  ['loop.onnx', 'redirects more than 5 times'],
  ['zipped.onnx', 'comes compressed (gzip)'],
  ['short.onnx', 'cannot read'],
  ['changing.onnx', 'the file was changed while it was read'],
])('%s is refused with 5 and nothing is printed', async (path, words) => {
  const { code, output, errors } = await add(`${sourceUrl}/m/v1/${path}`, ...ca())
  expect({ code, output }).toEqual({ code: 5, output: '' })
  expect(errors).toContain(words)
})

test('a file above the bound is refused, with and without a length', async () => {
  for (const path of ['model.onnx', 'chunked.onnx']) {
    const { code, errors } = await add(`${sourceUrl}/m/v1/${path}`, ...ca(), '--max-bytes', '1000000')
    expect(code).toBe(5)
    expect(errors).toContain('Raise --max-bytes')
  }
})

test('an unknown certificate authority is refused, with what to do', async () => {
  const { code, errors } = await add(`${sourceUrl}/m/v1/model.onnx`)
  expect(code).toBe(5)
  expect(errors).toContain('hint: For a private certificate authority, name its file with --ca-file.')
})
