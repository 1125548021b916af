import { expect, test } from 'vitest'
import { isLoopback, serveSettings } from './settings.ts'

const env = {
  HANSA_SERVE: JSON.stringify({
    modelName: 'digits',
    modelVersion: '1',
    entrypoint: 'model.onnx',
    executionProvider: { type: 'CPU', onUnavailable: 'Fail' },
    timeouts: {},
    limits: {},
  }),
  HANSA_MODEL: JSON.stringify({ namespace: 'a', name: 'b', uid: 'c', format: 'ONNX', files: [] }),
  HANSA_MODEL_DIR: '/models',
  HANSA_GATEWAY_URI: 'spiffe://td/ns/hansa/sa/hansa-gateway',
  POD_IP: '10.0.0.7',
}

test('the defaults are those of the schema, and what is not said stays open', () => {
  const settings = serveSettings({ ...env, HANSA_CPUS: '8', HANSA_SESSIONS: '3' })
  expect(settings.serve.limits.queueDepth).toBe(100)
  expect(settings).toMatchObject({ port: 8443, probesPort: 8081, sessions: 3, cpus: 8, lameDuckSeconds: 2 })
  expect(serveSettings(env)).toMatchObject({ sessions: undefined, cpus: undefined })
})

test('a session process gets no variable but those for GPUs', () => {
  const settings = serveSettings({ ...env, LD_LIBRARY_PATH: '/cuda', HANSA_CA_TOKEN_FILE: '/token', PATH: '/bin' })
  expect(settings.sessionEnv).toEqual({ LD_LIBRARY_PATH: '/cuda' })
})

test.each([
  [{ HANSA_GATEWAY_URI: undefined }, 'HANSA_GATEWAY_URI is missing'],
  [{ HANSA_INSECURE_LOOPBACK: 'true' }, 'needs a loopback address'],
  [{ HANSA_INSECURE_LOOPBACK: 'true', POD_IP: '127.0.0.1.example' }, 'needs a loopback address'],
  [{ HANSA_SERVE: '{' }, 'HANSA_SERVE: not valid JSON'],
  [{ HANSA_SERVE: '{}' }, 'HANSA_SERVE: modelName'],
  [{ HANSA_MODEL: env.HANSA_MODEL.replace('ONNX', 'TrainingBundle') }, 'only models of format ONNX'],
  [{ HANSA_SESSIONS: '0' }, 'HANSA_SESSIONS'],
  [{ HANSA_CPUS: 'many' }, 'HANSA_CPUS'],
])('%j is refused by name', (change, message) => {
  expect(() => serveSettings({ ...env, ...change })).toThrow(message)
})

test('only loopback addresses are loopback', () => {
  expect(['127.0.0.1', '127.3.2.1', '::1'].every(isLoopback)).toBe(true)
  expect(['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', 'localhost'].some(isLoopback)).toBe(false)
})
