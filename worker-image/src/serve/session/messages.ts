import { z } from 'zod'
import { datatypes } from '../datatype.ts'

/** First frame to a session process: which model to load and how. */
export type LoadCommand = {
  readonly kind: 'load'
  readonly modelPath: string
  readonly provider: 'CPU' | 'CUDA'
  readonly onUnavailable: 'Fail' | 'UseCPU'
  readonly intraOpThreads: number
  readonly maxResponseBytes: number
}

/** Every later frame to it; the tensors' bytes follow in this order. */
export type RunCommand = {
  readonly kind: 'run'
  readonly inputs: readonly { name: string; datatype: string; shape: readonly number[]; byteLength: number }[]
  readonly outputs: readonly string[]
}

const size = z.int().min(0)
const name = z.string().max(65_536)
const spec = z.object({ name, datatype: z.enum(datatypes), shape: z.array(z.int().min(-1)).readonly() })

export const loadReasons = ['ModelLoadFailed', 'ExecutionProviderUnavailable'] as const

/**
 * What a session process answers. The parent checks it like any stranger's message: a model that breaks out of the runtime
 * sits in that process.
 */
export const replySchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('loaded'),
    inputs: z.array(spec).max(1024),
    outputs: z.array(spec).max(1024),
    provider: z.enum(['CPU', 'CUDA']),
    /** Why CUDA is not used although it was wanted. */
    providerProblem: z.string().max(4096).optional(),
    /** Why the synthetic warm-up input was rejected; made of zeros, so nothing of a user is in it. */
    warmUpProblem: z.string().max(4096).optional(),
  }),
  z.object({ kind: z.literal('loadFailed'), reason: z.enum(loadReasons), message: z.string().max(4096) }),
  z.object({
    kind: z.literal('ran'),
    outputs: z.array(z.object({ name, datatype: z.enum(datatypes), shape: z.array(size), byteLength: size })).max(1024),
    runMicros: z.number().min(0),
  }),
  z.object({
    kind: z.literal('runFailed'),
    problem: z.enum(['InvalidRequest', 'ResponseTooLarge', 'ModelFailed', 'Unsupported']),
    /** For the client. */
    message: z.string().max(4096),
    /** Which operator failed, for the log. */
    place: z.string().max(512).optional(),
  }),
])
export type Reply = z.infer<typeof replySchema>
export type Loaded = Extract<Reply, { kind: 'loaded' }>
export type LoadReason = (typeof loadReasons)[number]
