import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { inferenceService, withGpus, withSpec, withStatus } from '../../../test/builders/inference-service.ts'
import { model, verified } from '../../../test/builders/model.ts'
import { atPeer, knownPeer } from '../../../test/builders/peer.ts'
import { placementSchema } from '../api/placement.ts'
import { layersText } from '../cli/layers-text.ts'
import { memoryIo } from '../cli/memory-io.ts'
import { ownerKey } from '../placement/owner-share.ts'
import { alternatives } from './alternatives.ts'
import { layersOf } from './layers.ts'
import { judge } from './requirements.ts'

const page = readFileSync(resolve(import.meta.dirname, '../../../docs/decentralization.md'), 'utf8')
const euro = (microsPerGPUHour: number) => ({ currency: 'EUR', microsPerGPUHour })

test('the example of docs/decentralization.md is what the command prints', () => {
  const service = inferenceService(
    'papers',
    withGpus(1),
    withStatus({
      desiredReplicas: 4,
      replicas: 4,
      readyReplicas: 4,
      owners: [atPeer('lab', 3), atPeer('gpu', 1), { ...atPeer('clinic', 0), wanted: 2 }],
    }),
  )
  service.metadata.namespace = 'library'
  const placement = placementSchema.parse({
    peers: [
      { name: 'lab', replicas: 3 },
      { name: 'gpu', replicas: 1 },
      { name: 'clinic', replicas: 2 },
    ],
    requirements: [
      { layer: 'Compute', minOwners: 2, minOwnersToStop: 2, maxSharePermille: 600 },
      { layer: 'Weights', minOwnersToStop: 2 },
    ],
  })
  withSpec({ placement })(service)
  const peers = [knownPeer('lab', 'university'), knownPeer('gpu', 'university'), knownPeer('clinic', 'clinic')]
  const layers = layersOf({
    service,
    model: model('papers-v1', verified),
    peers,
    ownTrustDomains: [],
    ledger: { witnesses: ['lab'] },
  })
  const at = (name: string, micros: number, latencyMilliseconds: number) => ({
    owner: name,
    ownerKey: ownerKey(
      name,
      peers.find(({ metadata }) => metadata.name === name),
    ),
    price: euro(micros),
    latencyMilliseconds,
  })
  const found = alternatives({
    workers: 8,
    gpusPerWorker: 1,
    choices: [
      { owner: 'own', ownerKey: 'own', price: 'Free', latencyMilliseconds: 0 },
      at('lab', 400_000, 12),
      at('gpu', 400_000, 12),
      at('clinic', 300_000, 40),
    ],
    now: [
      { owner: 'own', workers: 4 },
      { owner: 'lab', workers: 3 },
      { owner: 'gpu', workers: 1 },
    ],
  })
  const verdict = judge(service.spec.placement?.requirements, layers)
  const text = layersText(service, { layers, verdict, alternatives: found }, memoryIo())
  const example = page.split('operator/src/layers/example.test.ts -->\n```\n')[1]?.split('```\n')[0]
  expect(example).toBe(text)
  // The figures that the page works out by hand.
  expect(layers[0]?.measures).toMatchObject({ largestSharePermille: { most: 500 }, herfindahl: 5000 })
  expect(layers[0]).toMatchObject({ ownersToFallShort: 0, measures: { ownersToStop: { most: 2 } } })
  expect(layers[1]?.measures.owners).toEqual({ least: 2, most: 3 })
})
