import { expect, test } from 'vitest'
import type { GuestWork } from '../../api/guest-work.ts'
import { type RemoteWork, workModelSchema } from '../../api/remote-work.ts'
import { apiVersion } from '../../api/resource.ts'
import { isGrantedIn, promisedBlob } from './promised.ts'

const sha256 = 'a'.repeat(64)
const requestId = '00000000-0000-4000-8000-000000000001'

function remoteWork(): RemoteWork {
  const model = workModelSchema.parse({
    name: 'm',
    format: 'ONNX',
    files: [{ path: 'model.onnx', sha256, sizeBytes: 5 }],
  })
  return {
    apiVersion,
    kind: 'RemoteWork',
    metadata: { name: 'w', namespace: 'library', uid: requestId },
    spec: {
      peerRef: { name: 'university' },
      work: {
        workload: 'Serve',
        purpose: 'Inference',
        dataClass: 'Internal',
        models: [model],
        replicas: 1,
        resources: {},
        leaseSeconds: 60,
        attempt: 1,
      },
    },
    status: { answer: { decision: 'Granted', sequence: 1 } },
  }
}

const asked = { peerName: 'university', sha256 }

test('a granted request opens the files that it names, and so does one that was not answered yet', () => {
  expect(promisedBlob(remoteWork(), asked)).toEqual({ namespace: 'library' })
  expect(promisedBlob({ ...remoteWork(), status: {} }, asked)).toEqual({ namespace: 'library' })
})

test.each<[string, (work: RemoteWork) => unknown]>([
  ['another peer', ({ spec }) => (spec.peerRef.name = 'college')],
  ['a file that is not named', ({ spec }) => (spec.work.models[0] = { ...model(spec), files: [] })],
  ['a file that comes from its own source', ({ spec }) => (spec.work.models[0] = { ...model(spec), source: 'Https' })],
  ['a refusal', ({ status }) => Object.assign(status ?? {}, { answer: { decision: 'Refused', sequence: 2 } })],
  ['the end', ({ status }) => Object.assign(status ?? {}, { answer: { decision: 'Ended', sequence: 2 } })],
  ['the end of its lease', ({ status }) => Object.assign(status ?? {}, { lease: { state: 'Ended' } })],
  ['a tombstone', ({ spec }) => Object.assign(spec, { cancelled: { requestId } })],
  ['deletion', ({ metadata }) => Object.assign(metadata, { deletionTimestamp: '2026-11-23T00:00:00Z' })],
])('%s opens nothing', (_what, change) => {
  const work = remoteWork()
  change(work)
  expect(promisedBlob(work, asked)).toBeUndefined()
})

function model(spec: RemoteWork['spec']): RemoteWork['spec']['work']['models'][number] {
  const [first] = spec.work.models
  if (first === undefined) throw new Error('no model')
  return first
}

test('a Model is fetched from a peer only in the namespace of the guest work that was granted to that peer', () => {
  const work: GuestWork = {
    apiVersion,
    kind: 'GuestWork',
    metadata: { name: 'g', namespace: 'hansa-system' },
    spec: { peerRef: { name: 'library' }, requestId, request: '{}' },
    status: { decision: 'Granted', local: { namespace: 'guests' } },
  }
  const wanted = { peerName: 'library', requestId, namespace: 'guests' }
  expect(isGrantedIn(work, wanted)).toBe(true)
  expect(isGrantedIn(undefined, wanted)).toBe(false)
  expect(isGrantedIn(work, { ...wanted, namespace: 'apps' })).toBe(false)
  expect(isGrantedIn(work, { ...wanted, peerName: 'other' })).toBe(false)
  expect(isGrantedIn(work, { ...wanted, requestId: requestId.replace('1', '2') })).toBe(false)
  for (const decision of ['Pending', 'Refused', 'Ended'] as const) {
    expect(isGrantedIn({ ...work, status: { ...work.status, decision } }, wanted)).toBe(false)
  }
  expect(isGrantedIn({ ...work, status: { decision: 'Granted' } }, wanted)).toBe(false)
})
