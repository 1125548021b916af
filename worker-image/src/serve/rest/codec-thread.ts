import { parentPort } from 'node:worker_threads'
import { InferProblem } from '../problem.ts'
import type { CodecJob, CodecReply } from './codec-threads.ts'
import { decodeJson } from './decode-json.ts'
import { encodeData } from './encode-data.ts'

/** Entry of a codec thread: one job at a time, in the order of arrival. */
parentPort?.on('message', (job: CodecJob) => {
  const transfer: ArrayBuffer[] = []
  parentPort?.postMessage(work(job, transfer), transfer)
})

function work(job: CodecJob, transfer: ArrayBuffer[]): CodecReply {
  try {
    if (job.kind === 'decode') {
      const request = decodeJson(job.json, job.signature, job.maxElements)
      for (const { data } of request.inputs) if (data?.buffer instanceof ArrayBuffer) transfer.push(data.buffer)
      return { kind: 'decoded', request }
    }
    const pieces = encodeData(job.tensor, job.maxBytes)
    const text = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0))
    let at = 0
    for (const piece of pieces) {
      text.set(piece, at)
      at += piece.byteLength
    }
    transfer.push(text.buffer)
    return { kind: 'encoded', text }
  } catch (error) {
    if (error instanceof InferProblem) return { kind: 'refused', problem: error.problem, message: error.message }
    return { kind: 'broken' }
  }
}
