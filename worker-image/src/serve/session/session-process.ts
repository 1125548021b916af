import { type ChildProcess, spawn } from 'node:child_process'
import { Socket } from 'node:net'
import { HansaError, messageOf } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import { InferProblem } from '../problem.ts'
import type { InferRequest, InferResponse, Tensor } from '../tensor.ts'
import { type Frame, FrameReader, framePrefix } from './frame.ts'
import { type LoadCommand, type Loaded, type Reply, type RunCommand, replySchema } from './messages.ts'

/** One model loaded in one child process. */
export type SessionProcess = {
  readonly pid: number | undefined
  readonly alive: boolean
  /** Settles once: loaded, or a HansaError on why not. */
  readonly loaded: Promise<Loaded>
  /** Runs the model; one call at a time. Rejects with InferProblem. A run cannot be cancelled, only killed. */
  run(request: InferRequest): Promise<SessionAnswer>
  kill(): void
  /** Resolves when the process is gone and everything it owed is settled. */
  readonly exited: Promise<void>
}

/** What one run gave, and what the model took for it in microseconds. */
export type SessionAnswer = InferResponse & { readonly runMicros: number }

export type SessionProcessOptions = {
  readonly command: Omit<LoadCommand, 'kind'>
  readonly env: Readonly<Record<string, string>>
}

const smallPayloadBytes = 16 << 10

/** Starts a session process. It dies with its pipe, so it never outlives this process. */
export function startSessionProcess(options: SessionProcessOptions, deps: { log: Logger }): SessionProcess {
  const { log } = deps
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', childPath()], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: options.env,
  })
  const pipe = pipeOf(child)
  const reader = new FrameReader(options.command.maxResponseBytes)
  const load = Promise.withResolvers<Loaded>()
  const exit = Promise.withResolvers<void>()
  let waiting: { resolve(response: SessionAnswer): void; reject(error: Error): void } | undefined
  let isLoaded = false
  let alive = true
  // Callers await these; a rejection before anyone does must not end the process.
  load.promise.catch(() => undefined)

  pipe?.on('data', (chunk: Buffer) => {
    try {
      for (const frame of reader.push(chunk)) take(frame)
    } catch (error) {
      log.error({ error: messageOf(error), sessionPid: child.pid }, 'session process broke the protocol')
      child.kill('SIGKILL')
    }
  })
  pipe?.on('error', (error) => log.debug({ error: error.message, sessionPid: child.pid }, 'session pipe closed'))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    // Afterwards the runtime's messages may quote a request.
    if (!isLoaded) log.warn({ sessionPid: child.pid, text: text.slice(0, 2048) }, 'session process wrote to stderr')
  })
  child.on('error', (error) => ended(`could not be started: ${error.message}`))
  child.on('exit', (code, signal) => ended(signal === null ? `exited with code ${code}` : `was ended by ${signal}`))
  send({ kind: 'load', ...options.command }, [], 0)

  function take(frame: Frame): void {
    const reply = replySchema.parse(JSON.parse(frame.header.toString('utf8')))
    switch (reply.kind) {
      case 'loaded':
        isLoaded = true
        load.resolve(reply)
        break
      case 'loadFailed':
        load.reject(new HansaError(reply.reason, reply.message))
        break
      case 'ran':
        settle((current) => current.resolve({ outputs: outputs(reply, frame), runMicros: reply.runMicros }))
        break
      case 'runFailed':
        if (reply.place !== undefined) log.warn({ operator: reply.place }, 'the model failed on an input')
        settle((current) => current.reject(new InferProblem(reply.problem, reply.message)))
        break
      default:
        reply satisfies never
    }
  }

  function settle(how: (current: NonNullable<typeof waiting>) => void): void {
    const current = waiting
    if (current === undefined) throw new RangeError('answer without a request')
    waiting = undefined
    how(current)
  }

  function ended(how: string): void {
    alive = false
    load.reject(new HansaError('ModelLoadFailed', `the session process ${how} while it loaded the model`))
    waiting?.reject(new InferProblem('SessionLost', 'the session process ended while it ran this request'))
    waiting = undefined
    exit.resolve()
  }

  function send(header: LoadCommand | RunCommand, payload: readonly Uint8Array[], payloadBytes: number): void {
    if (pipe === undefined) return
    const text = Buffer.from(JSON.stringify(header))
    if (payloadBytes <= smallPayloadBytes) {
      // One small write costs less than a vector of them.
      pipe.write(Buffer.concat([framePrefix(text.byteLength, payloadBytes), text, ...payload]))
      return
    }
    pipe.cork()
    pipe.write(framePrefix(text.byteLength, payloadBytes))
    pipe.write(text)
    for (const piece of payload) if (piece.byteLength > 0) pipe.write(piece)
    pipe.uncork()
  }

  return {
    pid: child.pid,
    get alive() {
      return alive
    },
    loaded: load.promise,
    run: (request) => {
      if (waiting !== undefined) throw new RangeError('a session runs one request at a time')
      const answer = Promise.withResolvers<SessionAnswer>()
      if (!alive) return Promise.reject(new InferProblem('SessionLost', 'the session process has ended'))
      waiting = answer
      const inputs = request.inputs.map(({ name, datatype, shape, byteLength }) => ({
        name,
        datatype,
        shape,
        byteLength,
      }))
      const payloadBytes = inputs.reduce((sum, input) => sum + input.byteLength, 0)
      const payload = request.inputs.flatMap((input) => input.pieces)
      send({ kind: 'run', inputs, outputs: request.outputs }, payload, payloadBytes)
      return answer.promise
    },
    kill: () => child.kill('SIGKILL'),
    exited: exit.promise,
  }
}

function outputs(reply: Extract<Reply, { kind: 'ran' }>, frame: Frame): Tensor[] {
  let index = 0
  let from = 0
  const tensors = reply.outputs.map(({ name, datatype, shape, byteLength }): Tensor => {
    const pieces: Uint8Array[] = []
    let missing = byteLength
    while (missing > 0) {
      const piece = frame.payload[index]
      if (piece === undefined) throw new RangeError('answer without its payload')
      const part = piece.subarray(from, from + missing)
      pieces.push(part)
      missing -= part.byteLength
      from += part.byteLength
      if (from === piece.byteLength) {
        index++
        from = 0
      }
    }
    return { name, datatype, shape, byteLength, pieces }
  })
  if (index !== frame.payload.length) throw new RangeError('answer with more payload than it says')
  return tensors
}

function pipeOf(child: ChildProcess): Socket | undefined {
  const stream = child.stdio[3]
  return stream instanceof Socket ? stream : undefined
}

function childPath(): string {
  return new URL('./child.ts', import.meta.url).pathname
}
