import { expect, test } from 'vitest'
import { reachableByWorkers, readOtlpEndpoint, receiverInCluster } from './otlp-endpoint.ts'

test.each([
  ['http://collector.observability.svc:4318', 'http://collector.observability.svc:4318/v1/traces'],
  [
    'http://collector.observability.svc.cluster.local:4318/',
    'http://collector.observability.svc.cluster.local:4318/v1/traces',
  ],
  ['http://127.0.0.1:4318/custom', 'http://127.0.0.1:4318/custom'],
  ['http://[::1]:4318', 'http://[::1]:4318/v1/traces'],
  ['https://otlp.example.com', 'https://otlp.example.com/v1/traces'],
])('%s is sent to as %s', (text, url) => {
  expect(readOtlpEndpoint(text)).toEqual({ url })
})

test.each([
  ['http://otlp.example.com', 'must be https'],
  ['http://svc.example.com', 'must be https'],
  ['http://10.0.0.1:4318', 'must be https'],
  ['http://127.0.0.1.example.com', 'must be https'],
  ['https://user:pass@otlp.example.com', 'credentials'],
  ['https://otlp.example.com/?token=1', 'query'],
  ['grpc://collector:4317', 'http or https'],
  ['collector', 'http or https'],
])('%s is refused: %s', (text, problem) => {
  expect(readOtlpEndpoint(text)).toMatchObject({ problem: expect.stringContaining(problem) })
})

test('only a receiver in the cluster is reached by workers, by its namespace and port', () => {
  expect(receiverInCluster('http://collector.observability.svc:4318/v1/traces')).toEqual({
    namespace: 'observability',
    port: 4318,
  })
  expect(receiverInCluster('https://collector.observability.svc/v1/traces')).toEqual({
    namespace: 'observability',
    port: 443,
  })
  expect(receiverInCluster('https://otlp.example.com/v1/traces')).toBeUndefined()
  expect(reachableByWorkers('https://otlp.example.com/v1/traces')).toBe(false)
})
