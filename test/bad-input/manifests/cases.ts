import type { BadInputSuite } from '../case.ts'
import { type ManifestContext, startManifests } from './cluster.ts'
import { generatedCases } from './generated.ts'
import { handMadeCases } from './hand-made.ts'

/** Manifests that a real API server with our definitions must refuse. */
export const suite: BadInputSuite<ManifestContext> = {
  name: 'manifests',
  cases: [...handMadeCases(), ...generatedCases()],
  start: startManifests,
}
