import { writeFileSync } from 'node:fs'
import { messageOf } from '@hansa/operator/process/errors.ts'
import type { InferenceSession, Tensor } from 'onnxruntime-node'
import { isDatatype } from '../datatype.ts'
import type { LoadCommand, Reply, RunCommand } from './messages.ts'
import { readFully, readHeader, writeFrame } from './sync-pipe.ts'

/**
 * Entry of a session process: reads one frame, works, answers, and so on, all blocking: `run()` blocks anyway, and blocking
 * reads put the bytes straight where the runtime takes them. It ends with its pipe, so it never outlives the worker.
 */
const pipe = 3
const alignment = 64
const keptBytes = 16 << 20

// The binding does not know Node's Float16Array and accepts FP16 only as Uint16Array, which onnxruntime-common makes when there is none.
Reflect.deleteProperty(globalThis, 'Float16Array')
// The worker drains on these signals and needs its sessions for it.
process.on('SIGTERM', () => undefined)
process.on('SIGINT', () => undefined)
dieFirst()

const { loadModel, LoadFailure } = await import('./load-model.ts')
const { InvalidValue, runtimeTensor, UnsupportedValue, wireBytes } = await import('./values.ts')

// Both frames come from our own parent, which made them from these types.
const command = readHeader(pipe) as LoadCommand | undefined
if (command === undefined) process.exit(0)
const session = await load(command)
let kept: ArrayBuffer = new ArrayBuffer(0)
for (;;) {
  const run = readHeader(pipe) as RunCommand | undefined
  if (run === undefined) process.exit(0)
  await answer(run, session, command.maxResponseBytes)
}

async function load(load: LoadCommand): Promise<InferenceSession> {
  try {
    const { session, loaded } = await loadModel(load)
    writeFrame(pipe, loaded)
    return session
  } catch (error) {
    const reason = error instanceof LoadFailure ? error.reason : 'ModelLoadFailed'
    writeFrame(pipe, { kind: 'loadFailed', reason, message: messageOf(error).slice(0, 2048) } satisfies Reply)
    process.exit(1)
  }
}

async function answer(run: RunCommand, session: InferenceSession, maxResponseBytes: number): Promise<void> {
  const views = readInputs(run)
  const started = performance.now()
  try {
    const feeds: Record<string, Tensor> = {}
    for (const [index, { name, datatype, shape }] of run.inputs.entries()) {
      const view = views[index]
      if (view === undefined || !isDatatype(datatype))
        throw new InvalidValue(`input ${JSON.stringify(name)} is unusable`)
      feeds[name] = runtimeTensor(name, datatype, shape, view)
    }
    const results = await session.run(feeds, [...run.outputs])
    const runMicros = (performance.now() - started) * 1000
    const payload: Uint8Array[] = []
    let total = 0
    const outputs = run.outputs.map((name) => {
      const tensor = results[name]
      if (tensor === undefined) throw new Error('the runtime left out an output')
      const { datatype, bytes } = wireBytes(tensor)
      total += bytes.byteLength
      payload.push(bytes)
      return { name, datatype, shape: [...tensor.dims], byteLength: bytes.byteLength }
    })
    if (total > maxResponseBytes) {
      const message = `the outputs take ${total} bytes, more than the ${maxResponseBytes} of the service's limits.responseBytes`
      return writeFrame(pipe, { kind: 'runFailed', problem: 'ResponseTooLarge', message } satisfies Reply)
    }
    writeFrame(pipe, { kind: 'ran', outputs, runMicros } satisfies Reply, payload)
  } catch (error) {
    writeFrame(pipe, failure(error))
  }
}

/** Reads the tensors behind a header, each to an aligned place of memory that is used again for the next request. */
function readInputs(run: RunCommand): Uint8Array[] {
  const offsets: number[] = []
  let total = 0
  for (const { byteLength } of run.inputs) {
    offsets.push(total)
    total += Math.ceil(byteLength / alignment) * alignment
  }
  if (kept.byteLength < total || (kept.byteLength > keptBytes && total <= keptBytes)) {
    kept = Buffer.allocUnsafeSlow(Math.max(total, 65_536)).buffer
  }
  return run.inputs.map(({ byteLength }, index) => {
    const view = new Uint8Array(kept, offsets[index] ?? 0, byteLength)
    if (!readFully(pipe, view)) process.exit(0)
    return view
  })
}

function failure(error: unknown): Reply {
  if (error instanceof InvalidValue) return { kind: 'runFailed', problem: 'InvalidRequest', message: error.message }
  if (error instanceof UnsupportedValue) return { kind: 'runFailed', problem: 'Unsupported', message: error.message }
  // The runtime's messages quote values of the input, so only the operator's name is taken out of them.
  const operator = /running (\w{1,64}) node\. Name:'([^'\n]{0,256})'/.exec(messageOf(error))
  const place = operator === null ? undefined : `${operator[1]} node '${operator[2]}'`
  const message = 'the model failed on this input'
  return { kind: 'runFailed', problem: 'ModelFailed', message, ...(place === undefined ? {} : { place }) }
}

/** Asks the kernel to end this process rather than the worker when memory runs out. */
function dieFirst(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000')
  } catch {
    // Not Linux, or not allowed: the kernel decides by size, which mostly gives the same.
  }
}
