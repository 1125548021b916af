import { InferenceSession, Tensor } from 'onnxruntime-node'
import { bytesOf, type RowInput } from './input.ts'

export type RawOrder = { rows: number; seconds: number }
export type RawLoad = { modelPath: string; inputs: readonly RowInput[] }

/** A process that does nothing but run the model, with one thread: rows a second without any server. */
let session: InferenceSession | undefined
let inputs: readonly RowInput[] = []

process.on('message', async (order: RawLoad | RawOrder) => {
  if ('modelPath' in order) {
    inputs = order.inputs
    session = await InferenceSession.create(order.modelPath, { intraOpNumThreads: 1, interOpNumThreads: 1 })
    process.send?.('loaded')
    return
  }
  const { rows, seconds } = order
  const feeds = Object.fromEntries(
    inputs.map((input) => {
      const { buffer, byteOffset, byteLength } = bytesOf(input, rows)
      const dims = [rows, input.columns]
      return input.datatype === 'FP32'
        ? [input.name, new Tensor('float32', new Float32Array(buffer, byteOffset, byteLength / 4), dims)]
        : [input.name, new Tensor('int64', new BigInt64Array(buffer, byteOffset, byteLength / 8), dims)]
    }),
  )
  await session?.run(feeds)
  const started = performance.now()
  let runs = 0
  while (performance.now() - started < seconds * 1000) {
    await session?.run(feeds)
    runs++
  }
  process.send?.((runs * rows * 1000) / (performance.now() - started))
})
