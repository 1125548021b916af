import { messageOf } from '@hansa/operator/process/errors.ts'
import { InferProblem } from '../problem.ts'
import type { InferRequest, InferResponse, Signature, Tensor } from '../tensor.ts'
import { joinRequests } from './join.ts'
import { sameValues } from './same-values.ts'
import { splitOutputs } from './split.ts'
import { seededRandom, syntheticBytes, syntheticRequest } from './synthetic.ts'

export type ProofDeps = {
  run(request: InferRequest): Promise<InferResponse>
  now(): number
  /** Inputs larger than this are not tried. */
  maxBytes: number
  maxSeconds: number
}

/** Either the outputs that may be cut by rows, or why requests must not be joined. */
export type BatchProof = { readonly rowOutputs: ReadonlySet<string> } | { readonly reason: string }

/** Sizes for free dimensions such as length, height and width, tried in turn until the model takes one. */
const freeSizes = [8, 32, 224, 1]
const trials = [
  { rows: [1, 1], wide: false },
  { rows: [2, 3], wide: true },
] as const

/**
 * Finds out whether a model's first dimension is a batch axis: declared free in every input and in the outputs, and requests
 * with random values answered alike alone and together, in both places. A free first dimension proves nothing by itself: it may
 * be a sequence, and rows may look at each other. Values that the model does not take, or that it answers all alike, prove
 * nothing either.
 */
export async function proveBatchAxis(signature: Signature, deps: ProofDeps): Promise<BatchProof> {
  if (signature.inputs.length === 0) return { reason: 'the model has no inputs' }
  const fixed = signature.inputs.find((input) => input.shape[0] !== -1)
  if (fixed !== undefined) return { reason: `the first dimension of input ${JSON.stringify(fixed.name)} is not free` }
  const outputs = signature.outputs.filter((output) => output.shape[0] === -1)
  if (outputs.length === 0) return { reason: 'no output has a free first dimension' }
  const byRows = { inputs: signature.inputs, outputs }
  const random = seededRandom(1)
  const startedAt = deps.now()
  const late = () => deps.now() - startedAt > deps.maxSeconds * 1000
  let tellsApart = false
  let free: number | undefined
  try {
    for (const { rows, wide } of trials) {
      const first = await firstRun(byRows, { rows: rows[0], wide, free, random }, deps)
      if (first === undefined) return { reason: 'the model took none of the synthetic inputs' }
      free = first.free
      if (late()) return { reason: 'the check of the batch axis took too long' }
      const other = syntheticRequest(byRows, { rows: rows[1], wide: first.wide, free, random })
      const alone = [first.response, await deps.run(other)]
      const joined = await deps.run(joinRequests([first.request, other]))
      const together = splitOutputs(joined.outputs, rows)
      for (const [index, response] of alone.entries()) {
        for (const [place, output] of response.outputs.entries()) {
          const twin = together[index]?.outputs[place]
          if (twin === undefined || !sameValues(output, twin)) {
            return { reason: `output ${JSON.stringify(output.name)} of a request depends on what it is joined with` }
          }
        }
      }
      const [top, ...others] = splitOutputs(joined.outputs, new Array<number>(rows[0] + rows[1]).fill(1))
      tellsApart ||= others.some((row) => row.outputs.some((output, at) => differs(output, top?.outputs[at])))
      if (late()) return { reason: 'the check of the batch axis took too long' }
    }
  } catch (error) {
    return { reason: `the check of the batch axis failed: ${messageOf(error)}` }
  }
  if (!tellsApart) return { reason: 'the model answers different synthetic inputs alike, so the check proves nothing' }
  return { rowOutputs: new Set(outputs.map((output) => output.name)) }
}

function differs(output: Tensor, twin: Tensor | undefined): boolean {
  return twin !== undefined && !sameValues(output, twin)
}

type Wanted = { rows: number; wide: boolean; free: number | undefined; random: () => number }

/** Runs the first synthetic request that the model takes; undefined when it takes none. */
async function firstRun(signature: Signature, wanted: Wanted, deps: ProofDeps) {
  for (const free of wanted.free === undefined ? freeSizes : [wanted.free]) {
    if (syntheticBytes(signature, 2 * wanted.rows + 1, free) > deps.maxBytes) continue
    for (const wide of wanted.wide ? [true, false] : [false]) {
      const request = syntheticRequest(signature, { rows: wanted.rows, wide, free, random: wanted.random })
      try {
        return { request, wide, free, response: await deps.run(request) }
      } catch (error) {
        // What a model rejects says nothing about its batch axis; anything else does not get better with other values.
        if (!(error instanceof InferProblem) || error.problem === 'SessionLost') throw error
      }
    }
  }
  return undefined
}
