import { messageOf } from '@hansa/operator/process/errors.ts'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { datatypeOf, elementBytes, runtimeTypes } from '../datatype.ts'
import type { TensorSpec } from '../tensor.ts'
import type { LoadCommand, Loaded, LoadReason } from './messages.ts'
import { runtimeTensor } from './values.ts'

const maxWarmUpBytes = 256 << 20

/** A model that cannot be served, with a reason constant. */
export class LoadFailure extends Error {
  readonly reason: LoadReason

  constructor(reason: LoadReason, message: string) {
    super(message)
    this.reason = reason
  }
}

/** Loads the model, on CPU where CUDA was wanted but may be done without, and runs it once on zeros. Throws LoadFailure. */
export async function loadModel(command: LoadCommand): Promise<{ session: InferenceSession; loaded: Loaded }> {
  const { session, provider, providerProblem } = await createSession(command)
  const inputs = session.inputMetadata.map((metadata) => spec(metadata, 'input'))
  const outputs = session.outputMetadata.map((metadata) => spec(metadata, 'output'))
  const warmUpProblem = await warmUp(session, inputs)
  return {
    session,
    loaded: {
      kind: 'loaded',
      inputs,
      outputs,
      provider,
      ...(providerProblem === undefined ? {} : { providerProblem }),
      ...(warmUpProblem === undefined ? {} : { warmUpProblem }),
    },
  }
}

type Created = { session: InferenceSession; provider: 'CPU' | 'CUDA'; providerProblem: string | undefined }

async function createSession(command: LoadCommand): Promise<Created> {
  const create = async (provider: 'cpu' | 'cuda') =>
    await InferenceSession.create(command.modelPath, {
      executionProviders: [provider],
      intraOpNumThreads: command.intraOpThreads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      logSeverityLevel: 3,
    })
  let providerProblem: string | undefined
  if (command.provider === 'CUDA') {
    try {
      return { session: await create('cuda'), provider: 'CUDA', providerProblem: undefined }
    } catch (error) {
      providerProblem = shortened(error)
      if (command.onUnavailable === 'Fail') {
        throw new LoadFailure('ExecutionProviderUnavailable', `CUDA cannot be used: ${providerProblem}`)
      }
    }
  }
  try {
    return { session: await create('cpu'), provider: 'CPU', providerProblem }
  } catch (error) {
    throw new LoadFailure('ModelLoadFailed', `the runtime cannot load the model: ${shortened(error)}`)
  }
}

function spec(metadata: InferenceSession.ValueMetadata, role: 'input' | 'output'): TensorSpec {
  const label = `${role} ${JSON.stringify(metadata.name.slice(0, 128))}`
  if (!metadata.isTensor) {
    throw new LoadFailure('ModelLoadFailed', `${label} is not a tensor (for scikit-learn: export without ZipMap)`)
  }
  const datatype = datatypeOf(metadata.type)
  if (datatype === undefined) {
    throw new LoadFailure('ModelLoadFailed', `${label} has type ${metadata.type}, which the protocol lacks`)
  }
  return {
    name: metadata.name,
    datatype,
    shape: metadata.shape.map((dimension) => (typeof dimension === 'number' ? dimension : -1)),
  }
}

/** Runs the model on zeros with every dynamic dimension 1. A model may rightly reject that: the problem is only reported. */
async function warmUp(session: InferenceSession, inputs: readonly TensorSpec[]): Promise<string | undefined> {
  try {
    const feeds: Record<string, Tensor> = {}
    for (const { name, datatype, shape } of inputs) {
      const concrete = shape.map((dimension) => (dimension === -1 ? 1 : dimension))
      const elements = concrete.reduce((product, dimension) => product * dimension, 1)
      const byteLength = elements * (elementBytes[datatype] ?? 4)
      if (byteLength > maxWarmUpBytes) return 'the inputs are too large for a warm-up'
      feeds[name] =
        runtimeTypes[datatype] === 'string'
          ? new Tensor('string', new Array<string>(elements).fill(''), concrete)
          : runtimeTensor(name, datatype, concrete, new Uint8Array(byteLength))
    }
    await session.run(feeds)
    return undefined
  } catch (error) {
    return shortened(error)
  }
}

function shortened(error: unknown): string {
  return messageOf(error).slice(0, 1024)
}
