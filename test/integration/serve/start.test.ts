import { link, readFile, rm, symlink, unlink } from 'node:fs/promises'
import { request } from 'node:https'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import type { Identity } from '@hansa/operator/identity/identity.ts'
import { memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'
import { clientTls } from '@hansa/operator/identity/tls.ts'
import { checkModelFiles } from '@hansa/worker/serve/model-files.ts'
import { expect, test } from 'vitest'
import { identityModel, onnxModel } from '../../builders/onnx-model.ts'
import { call } from './client.ts'
import { startWorker } from './worker.ts'

/** Starts a worker that must fail; returns what it wrote for the operator. */
async function terminationMessage(
  ...start: Parameters<typeof startWorker>
): Promise<{ reason: string; message: string }> {
  const failed = await startWorker(...start).then(
    async (worker) => {
      await worker.close()
      throw new Error('it started')
    },
    // The helper puts the path on the error that it passes on.
    (error: Error & { reason?: string; terminationLog?: string }) => error,
  )
  if (failed.terminationLog === undefined) throw failed
  const written = JSON.parse(await readFile(failed.terminationLog, 'utf8')) as { reason: string; message: string }
  await rm(failed.terminationLog)
  expect(written.reason).toBe(failed.reason)
  return written
}

const cuda = (onUnavailable: 'Fail' | 'UseCPU') => ({ executionProvider: { type: 'CUDA', onUnavailable } as const })

test('CUDA that is not there fails the start with its reason', async () => {
  const { reason, message } = await terminationMessage(identityModel('FP32'), cuda('Fail'))
  expect(reason).toBe('ExecutionProviderUnavailable')
  expect(message).toContain('CUDA cannot be used')
})

test('CUDA that is not there gives way to CPU where that is allowed, and says so', async () => {
  const worker = await startWorker(identityModel('FP32'), cuda('UseCPU'))
  try {
    expect((await call(worker.url, '/v2/models/echo')).json.parameters).toEqual({ execution_provider: 'CPU' })
    expect(await worker.registry.metrics()).toContain('hansa_worker_execution_provider{provider="CPU"} 1')
  } finally {
    await worker.close()
  }
})

test.each([
  ['a file that is no model', Buffer.from('not a model'), 'ModelLoadFailed'],
  ['a datatype that the runtime does not carry', identityModel('BF16'), 'ModelLoadFailed'],
  [
    'an unknown operator',
    onnxModel({
      nodes: [{ op: 'NoSuchOp', inputs: ['x'], outputs: ['y'] }],
      inputs: [{ name: 'x', type: 'FP32', shape: [1] }],
      outputs: [{ name: 'y', type: 'FP32', shape: [1] }],
    }),
    'ModelLoadFailed',
  ],
])('%s fails the start', async (_what, model, reason) => {
  expect((await terminationMessage(model)).reason).toBe(reason)
})

test('a file with another digest than the Model names is not loaded', async () => {
  expect((await terminationMessage(identityModel('FP32'), { sha256: '0'.repeat(64) })).reason).toBe('DigestMismatch')
})

test('a symlink or a second name of the model file is not loaded', async () => {
  const worker = await startWorker(identityModel('FP32'))
  const path = `${worker.folder}/model.onnx`
  try {
    const { byteLength } = await readFile(path)
    const model = {
      namespace: 'test',
      name: 'm',
      uid: 'u',
      format: 'ONNX' as const,
      files: [{ path: 'model.onnx', sha256: '0'.repeat(64), sizeBytes: byteLength }],
    }
    const check = () => checkModelFiles(model, worker.folder, 'model.onnx', AbortSignal.timeout(5000))
    await link(path, `${worker.folder}/other`)
    await expect(check()).rejects.toMatchObject({ reason: 'UnsafePath' })
    await unlink(path)
    await symlink(`${worker.folder}/other`, path)
    await expect(check()).rejects.toMatchObject({ reason: 'UnsafePath' })
  } finally {
    await worker.close()
  }
})

test('a model that rejects the warm-up input of zeros is ready all the same', async () => {
  // Rows of one element cannot be reshaped to rows of two: only requests with an even dimension run.
  const model = onnxModel({
    nodes: [{ op: 'Reshape', inputs: ['x', 'rows'], outputs: ['y'] }],
    inputs: [{ name: 'x', type: 'FP32', shape: ['n'] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['m', 2] }],
    initializers: [{ name: 'rows', type: 'INT64', shape: [2], raw: new Uint8Array(BigInt64Array.of(-1n, 2n).buffer) }],
  })
  const worker = await startWorker(model)
  try {
    expect((await call(worker.url, '/v2/health/ready')).status).toBe(200)
    const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [4], data: [1, 2, 3, 4] }] })
    expect((await call(worker.url, '/v2/models/echo/infer', { body })).status).toBe(200)
  } finally {
    await worker.close()
  }
})

test('only the gateway gets in: others with a certificate 403, strangers no connection, also after a renewal', async () => {
  const authority = await createAuthority({ trustDomain: 'test' })
  const uri = (name: string) => `spiffe://test/ns/hansa/sa/${name}`
  const identity = await memoryIdentity(authority, uri('worker'))
  const gateway = await memoryIdentity(authority, uri('hansa-gateway'))
  const other = await memoryIdentity(authority, uri('hansa-fetch'))
  const worker = await startWorker(identityModel('FP32'), { mtls: { identity, gatewayUri: uri('hansa-gateway') } })
  const get = (who: Identity | undefined) =>
    new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
      const tls = clientTls(who ?? gateway, uri('worker'))
      const { key: _key, cert: _cert, ...withoutCertificate } = tls
      const outgoing = request(
        `${worker.url}/v2/health/ready`,
        { ...(who === undefined ? withoutCertificate : tls), agent: false, timeout: 5000 },
        (response) => {
          response.setEncoding('utf8')
          let body = ''
          response.on('data', (text: string) => {
            body += text
          })
          response.on('end', () => resolve({ status: response.statusCode, body }))
          response.on('error', reject)
        },
      )
      outgoing.on('error', reject).end()
    })
  try {
    expect((await get(gateway)).status).toBe(200)
    expect(await get(other)).toEqual({ status: 403, body: '{"error":"only the gateway may call this worker"}' })
    await expect(get(undefined)).rejects.toThrow()
    const stranger = await memoryIdentity(await createAuthority({ trustDomain: 'test' }), uri('hansa-gateway'))
    const { keyPem, certPem } = stranger.current()
    const disguised = { ...gateway, current: () => ({ ...gateway.current(), keyPem, certPem }) }
    await expect(get(disguised)).rejects.toThrow()
    await identity.renew()
    expect((await get(gateway)).status).toBe(200)
  } finally {
    await worker.close()
  }
})
