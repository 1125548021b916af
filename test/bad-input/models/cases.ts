import { type BadInputSuite, inProcess } from '../case.ts'
import { contentModels } from './content.ts'
import { externalModels } from './external.ts'
import { fileModels } from './files.ts'
import { badInputCase } from './model-case.ts'
import { costlyModels, duplicateModels, wireModels } from './wire.ts'

/** Every hostile model. */
export const hostileModels = [
  ...wireModels,
  ...duplicateModels,
  ...costlyModels,
  ...externalModels,
  ...contentModels,
  ...fileModels,
]

/** Hostile model folders that the check of fetch, pull and verify must refuse. */
export const suite: BadInputSuite = { name: 'models', cases: hostileModels.map(badInputCase), start: inProcess }
