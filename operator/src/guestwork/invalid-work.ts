import { modelSpecSchema } from '../api/model.ts'
import type { Work } from '../api/remote-work.ts'
import { parseQuantity } from '../kube/quantity.ts'
import type { Reason } from './decide.ts'
import { sourceOf } from './public-source.ts'

const native: ReadonlySet<string> = new Set(['cpu', 'memory', 'ephemeral-storage'])
const extended = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

/** What is wrong with the work itself, whatever policies say. */
export function invalidities(work: Work): Reason[] {
  const reasons: Reason[] = []
  const no = (message: string) => reasons.push({ reason: 'RequestInvalid', message })
  if (work.workload !== 'Serve') no(`workload: ${work.workload} cannot be run by this version, Serve can`)
  else {
    if (work.serve === undefined) no('serve: must be set for workload Serve')
    if (work.models.length !== 1) no(`models: ${work.models.length} were given, Serve takes one`)
  }
  for (const model of work.models) {
    const source = sourceOf(model)
    if (!source.ok) no(`models, ${model.name}: ${source.message}`)
    if (work.workload === 'Serve' && model.format !== 'ONNX') no(`models, ${model.name}: Serve takes format ONNX`)
    const { format, files, entrypoint, embedding } = model
    const optional = { ...(entrypoint !== undefined && { entrypoint }), ...(embedding !== undefined && { embedding }) }
    const { success } = modelSpecSchema.safeParse({ format, source: { local: { path: 'any' } }, files, ...optional })
    if (!success) no(`models, ${model.name}: a file, the entrypoint or embedding is not valid`)
  }
  resources(work, no)
  return reasons
}

function resources({ resources: { requests = {}, limits = {} } }: Work, no: (message: string) => void): void {
  for (const name of Object.keys(requests)) {
    if (!native.has(name)) no(`resources.requests: ${name.slice(0, 128)} belongs into limits`)
  }
  for (const [name, quantity] of [...Object.entries(requests), ...Object.entries(limits)]) {
    const amount = parseQuantity(quantity)
    if (amount === undefined || amount <= 0n)
      no(`resources: ${quantity} of ${name.slice(0, 128)} is no positive quantity`)
  }
  for (const [name, quantity] of Object.entries(limits)) {
    if (native.has(name)) continue
    if (!extended.test(name)) no(`resources.limits: ${name.slice(0, 128)} is no name of a resource`)
    else if (!/^[1-9][0-9]{0,3}$/.test(quantity)) no(`resources.limits: ${name} must be a whole number from 1 to 9999`)
  }
}
