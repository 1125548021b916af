import { Worker } from 'node:worker_threads'
import { HansaError } from '@hansa/operator/process/errors.ts'
import type { EmbeddingsLimits, EmbeddingsRequest } from '../openai/embeddings-request.ts'
import { InferProblem, invalid, type ProblemReason } from '../problem.ts'
import { Tokens } from './tokens.ts'

export type TokenizerJob = { readonly body: Uint8Array; readonly limits: EmbeddingsLimits }
export type TokenizerReply =
  | { kind: 'ready'; vocabularySize: number; padId: number }
  | { kind: 'unusable'; message: string }
  | {
      kind: 'read'
      ids: Int32Array
      lengths: Int32Array
      encoding: 'float' | 'base64'
      dimensions: number | undefined
    }
  | { kind: 'refused'; problem: ProblemReason; message: string }

export type TokenizerThreads = {
  readonly padId: number
  readonly vocabularySize: number
  /** Rejects with InferProblem, or with the signal's reason. */
  read(body: Uint8Array, limits: EmbeddingsLimits, signal: AbortSignal): Promise<EmbeddingsRequest>
  close(): Promise<void>
}

export type TokenizerThreadsOptions = {
  readonly path: string
  readonly threads: number
  readonly loadSeconds: number
  /** A job that takes longer costs its thread, since nothing else ends a regular expression. */
  readonly jobSeconds: number
  readonly queueDepth: number
}

type Waiting = { job: TokenizerJob; resolve(reply: TokenizerReply): void; reject(error: unknown): void }
type Thread = {
  worker: Worker
  state: 'loading' | 'idle' | 'busy'
  current: Waiting | undefined
  timer: NodeJS.Timeout | undefined
}

/** More heap than the largest tokenizer that is accepted needs; a thread that wants more ends alone. */
const heapMegabytes = 1024
/** A thread that could load the tokenizer no more is tried again after this. */
const retryMs = 5_000

/**
 * Threads that read requests and tokenize their texts. The file that drives them is a stranger's: a thread that takes too long,
 * or too much memory, is ended and started again, at the cost of its one request. Resolves when the first is ready; rejects with
 * HansaError (ModelLoadFailed) when the tokenizer cannot be used.
 */
export async function startTokenizerThreads(
  options: TokenizerThreadsOptions,
  deps: { onRestart(): void; signal: AbortSignal },
): Promise<TokenizerThreads> {
  const threads = new Set<Thread>()
  const queue = new Set<Waiting>()
  let closed = false
  let isReady = false
  const first = Promise.withResolvers<{ vocabularySize: number; padId: number }>()

  function start(): void {
    if (closed) return
    const worker = new Worker(new URL('./tokenizer-thread.ts', import.meta.url), {
      workerData: options.path,
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: heapMegabytes },
    })
    worker.unref()
    const thread: Thread = { worker, state: 'loading', current: undefined, timer: undefined }
    threads.add(thread)
    limitTime(thread, options.loadSeconds)
    worker.on('message', (reply: TokenizerReply) => take(thread, reply))
    worker.on('error', () => lost(thread, new InferProblem('SessionLost', 'the tokenizer failed on this input')))
    worker.on('exit', () => lost(thread, new InferProblem('SessionLost', 'the tokenizer ended')))
  }

  function limitTime(thread: Thread, seconds: number): void {
    thread.timer = setTimeout(() => {
      // The texts and the tokenizer decide the time: the same request would take as long again.
      lost(thread, invalid(`the tokenizer of the model needs more than ${seconds} s for these texts`))
      void thread.worker.terminate()
    }, seconds * 1000)
  }

  function take(thread: Thread, reply: TokenizerReply): void {
    clearTimeout(thread.timer)
    if (reply.kind === 'unusable') {
      first.reject(unusable(reply.message))
      return
    }
    const { current } = thread
    thread.current = undefined
    thread.state = 'idle'
    if (reply.kind === 'ready') first.resolve(reply)
    else current?.resolve(reply)
    thread.worker.unref()
    next()
  }

  function lost(thread: Thread, error: InferProblem): void {
    if (!threads.delete(thread)) return
    clearTimeout(thread.timer)
    thread.current?.reject(error)
    if (!isReady) first.reject(unusable('it takes too long or too much memory to load'))
    if (closed || !isReady) return
    deps.onRestart()
    if (thread.state === 'loading') setTimeout(start, retryMs).unref()
    else start()
  }

  function next(): void {
    for (const thread of threads) {
      const [waiting] = queue
      if (waiting === undefined) return
      if (thread.state !== 'idle') continue
      queue.delete(waiting)
      thread.state = 'busy'
      thread.current = waiting
      limitTime(thread, options.jobSeconds)
      thread.worker.ref()
      thread.worker.postMessage(waiting.job)
    }
  }

  function ask(job: TokenizerJob, signal: AbortSignal): Promise<TokenizerReply> {
    signal.throwIfAborted()
    if (queue.size >= options.queueDepth) {
      throw new InferProblem('QueueFull', `${queue.size} requests wait for the tokenizer already; try again later`)
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        queue.delete(waiting)
        reject(signal.reason)
      }
      const done = () => signal.removeEventListener('abort', onAbort)
      const waiting: Waiting = {
        job,
        resolve: (reply) => {
          done()
          resolve(reply)
        },
        reject: (error) => {
          done()
          reject(error)
        },
      }
      signal.addEventListener('abort', onAbort, { once: true })
      queue.add(waiting)
      next()
    })
  }

  async function close(): Promise<void> {
    closed = true
    await Promise.all([...threads].map((thread) => thread.worker.terminate()))
  }

  start()
  const stopped = () => first.reject(deps.signal.reason)
  deps.signal.addEventListener('abort', stopped, { once: true })
  const ready = await first.promise.catch(async (error: unknown) => {
    await close()
    throw error
  })
  deps.signal.removeEventListener('abort', stopped)
  isReady = true
  for (let count = 1; count < options.threads; count++) start()
  return {
    ...ready,
    read: async (body, limits, signal) => {
      const reply = await ask({ body, limits }, signal)
      if (reply.kind === 'refused') throw new InferProblem(reply.problem, reply.message)
      if (reply.kind !== 'read') throw new InferProblem('SessionLost', 'the tokenizer gave no answer')
      const { ids, lengths, encoding, dimensions } = reply
      return { tokens: new Tokens(ids, lengths), encoding, dimensions }
    },
    close,
  }
}

function unusable(why: string): HansaError {
  return new HansaError('ModelLoadFailed', `the tokenizer of the Model cannot be used: ${why}`, { retry: 'never' })
}
