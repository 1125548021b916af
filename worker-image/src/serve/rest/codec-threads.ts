import { Worker } from 'node:worker_threads'
import { InferProblem, type ProblemReason } from '../problem.ts'
import type { Signature, Tensor } from '../tensor.ts'
import type { JsonRequest } from './decode-json.ts'

export type CodecJob =
  | { kind: 'decode'; json: Uint8Array; signature: Signature; maxElements: number }
  | { kind: 'encode'; tensor: Tensor; maxBytes: number }
export type CodecReply =
  | { kind: 'decoded'; request: JsonRequest }
  | { kind: 'encoded'; text: Uint8Array }
  | { kind: 'refused'; problem: ProblemReason; message: string }
  | { kind: 'broken' }

export type CodecThreads = {
  decode(json: Uint8Array, signature: Signature, maxElements: number, signal: AbortSignal): Promise<JsonRequest>
  encode(tensor: Tensor, maxBytes: number, signal: AbortSignal): Promise<readonly Uint8Array[]>
  close(): Promise<void>
}

type Waiting = { job: CodecJob; resolve(reply: CodecReply): void; reject(error: Error): void }

/**
 * Up to `size` worker threads for JSON, the first started at once so that no request waits for it, one job each at a time, the
 * rest in order of arrival (the callers bound how many). Nothing native runs in them, so they may be terminated; a thread that
 * dies costs its one job.
 */
export function createCodecThreads(size: number): CodecThreads {
  const idle: Worker[] = []
  const busy = new Map<Worker, Waiting>()
  const queue = new Set<Waiting>()
  let closed = false

  function next(): void {
    const [waiting] = queue
    if (waiting === undefined || closed) return
    const worker = idle.pop() ?? (busy.size < size ? start() : undefined)
    if (worker === undefined) return
    queue.delete(waiting)
    busy.set(worker, waiting)
    worker.ref()
    worker.postMessage(waiting.job)
  }

  function start(): Worker {
    const worker = new Worker(new URL('./codec-thread.ts', import.meta.url), { env: {} })
    worker.unref()
    worker.on('message', (reply: CodecReply) => {
      busy.get(worker)?.resolve(reply)
      busy.delete(worker)
      worker.unref()
      idle.push(worker)
      next()
    })
    worker.on('error', (error) => lost(worker, error))
    worker.on('exit', () => lost(worker, undefined))
    return worker
  }

  function lost(worker: Worker, cause: unknown): void {
    busy.get(worker)?.reject(new InferProblem('SessionLost', 'the request could not be processed', { cause }))
    busy.delete(worker)
    const at = idle.indexOf(worker)
    if (at !== -1) idle.splice(at, 1)
    next()
  }

  function ask(job: CodecJob, signal: AbortSignal): Promise<CodecReply> {
    signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { job, resolve: settle(resolve), reject: settle(reject) }
      const onAbort = () => {
        queue.delete(waiting)
        reject(signal.reason)
      }
      function settle<T>(done: (value: T) => void): (value: T) => void {
        return (value) => {
          signal.removeEventListener('abort', onAbort)
          done(value)
        }
      }
      signal.addEventListener('abort', onAbort, { once: true })
      queue.add(waiting)
      next()
    })
  }

  idle.push(start())
  return {
    decode: async (json, signature, maxElements, signal) => {
      const reply = await ask({ kind: 'decode', json, signature, maxElements }, signal)
      if (reply.kind === 'decoded') return reply.request
      throw refusal(reply)
    },
    encode: async (tensor, maxBytes, signal) => {
      const reply = await ask({ kind: 'encode', tensor, maxBytes }, signal)
      if (reply.kind === 'encoded') return [reply.text]
      throw refusal(reply)
    },
    close: async () => {
      closed = true
      await Promise.all([...idle, ...busy.keys()].map((worker) => worker.terminate()))
    },
  }
}

function refusal(reply: CodecReply): Error {
  if (reply.kind === 'refused') return new InferProblem(reply.problem, reply.message)
  return new InferProblem('SessionLost', 'the request could not be processed')
}
