import { constants } from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, Pool } from 'undici'
import {
  GrpcConnections,
  type GrpcEnd,
  grpcEnd,
  identityRequest,
  streamPath,
  unaryPath,
} from '../../bench/serving-stage/grpc-client.ts'
import type { ServingStage } from '../../bench/serving-stage/stage.ts'
import type { Ledger } from './ledger.ts'

export type Traffic = {
  /** Makes requests until `pause`. */
  resume(): void
  /** Begins no more, and resolves when all have ended or the time is over. */
  pause(milliseconds: number): Promise<void>
  close(): Promise<void>
}

type Kind = { name: string; clients: number; once: (end: (outcome: string) => void) => Promise<void> }

const smallFloats = 64
const largeFloats = 150_000
const badToken = 'eyJhbGciOiJSUzI1NiIsImtpZCI6ImJlbmNoIn0.eyJpc3MiOiJuby1vbmUifQ.c2lnbmF0dXJl'

/** A mixture of what users do, good and bad, each kind by a few clients one request after the other. */
export function mixedTraffic(stage: ServingStage, ledger: Ledger, random: () => number): Traffic {
  const pool = new Pool(stage.restUrl, { connect: { ca: stage.caPem }, connections: 64, allowH2: false })
  const grpc = new GrpcConnections(stage.grpcUrl, stage.caPem, 16)
  const authorization = `Bearer ${stage.token}`
  const json = (count: number) =>
    JSON.stringify({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [count], data: Array.from({ length: count }, (_, i) => i % 97) }],
    })
  const smallJson = json(smallFloats)
  const largeJson = json(largeFloats)
  const binary = (count: number) => {
    const head = Buffer.from(
      JSON.stringify({
        inputs: [{ name: 'x', datatype: 'FP32', shape: [count], parameters: { binary_data_size: 4 * count } }],
        parameters: { binary_data_output: true },
      }),
    )
    const headers = { 'inference-header-content-length': `${head.length}`, 'content-type': 'application/octet-stream' }
    return { headers, body: Buffer.concat([head, Buffer.alloc(4 * count, 1)]) }
  }
  const smallBinary = binary(smallFloats)
  const largeBinary = binary(largeFloats)

  async function rest(
    end: (outcome: string) => void,
    body: string | Buffer,
    headers: Record<string, string>,
    how: { signal?: AbortSignal; slow?: boolean } = {},
  ): Promise<void> {
    try {
      const answer = await pool.request({
        path: stage.path,
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json', ...headers },
        body,
        ...(how.signal === undefined ? {} : { signal: how.signal }),
      })
      for await (const _ of answer.body) if (how.slow === true) await sleep(5)
      end(`${answer.statusCode}`)
    } catch (error) {
      if (how.signal?.aborted === true) end('aborted')
      // A cut-off answer says that the worker broke in the middle of it.
      else end(`error ${error instanceof Error && 'code' in error ? String(error.code) : 'unknown'}`)
    }
  }

  const wordsOf = ({ code, rstCode }: GrpcEnd) => (code === undefined ? `reset ${rstCode}` : `grpc ${code}`)

  async function unary(end: (outcome: string) => void, message: Buffer, token: string, abortAfter?: number) {
    const stream = grpc.open(unaryPath, token)
    const ended = grpcEnd(stream)
    stream.end(message)
    const timer =
      abortAfter === undefined ? undefined : setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), abortAfter)
    const outcome = await ended
    clearTimeout(timer)
    if (abortAfter !== undefined && outcome.code === undefined) end('aborted')
    else if (outcome.code === 0 && outcome.bytes === 0) end('grpc 0 without a message')
    else end(wordsOf(outcome))
  }

  /** One stream with some requests; it counts as one request for each of them. */
  async function streamed(end: (outcome: string) => void): Promise<void> {
    const count = 1 + Math.floor(random() * 8)
    const ends = [end, ...Array.from({ length: count - 1 }, () => ledger.begin('gRPC stream', performance.now()))]
    const stream = grpc.open(streamPath, stage.token)
    const answered = countMessages((index) => ends[index]?.('grpc 0'))
    stream.on('data', answered.push)
    const ended = grpcEnd(stream)
    const message = identityRequest(stage.model, 4 * (random() < 0.2 ? largeFloats : smallFloats))
    for (let i = 0; i < count; i += 1) {
      stream.write(message)
      if (random() < 0.3) await sleep(random() * 50)
    }
    stream.end()
    const outcome = await ended
    const missing = outcome.code === 0 ? 'no answer on a stream that ended well' : wordsOf(outcome)
    for (const each of ends.slice(answered.count())) each(missing)
  }

  async function strangers(end: (outcome: string) => void): Promise<void> {
    // A connection of its own each, as strangers have.
    const client = new Client(stage.restUrl, { connect: { ca: stage.caPem } })
    try {
      const body = random() < 0.5 ? smallJson : undefined
      const answer = await client.request({
        path: stage.path,
        method: 'POST',
        headers: { authorization: `Bearer ${badToken}` },
        ...(body === undefined ? {} : { body }),
      })
      await answer.body.dump()
      end(`${answer.statusCode}`)
    } catch (error) {
      end(`error ${String(error)}`)
    } finally {
      await client.destroy()
    }
  }

  const large = identityRequest(stage.model, 4 * largeFloats)
  const small = identityRequest(stage.model, 4 * smallFloats)
  const kinds: Kind[] = [
    { name: 'REST small', clients: 4, once: (end) => rest(end, smallJson, {}) },
    { name: 'REST large', clients: 1, once: (end) => rest(end, largeJson, {}) },
    { name: 'REST binary', clients: 3, once: (end) => rest(end, smallBinary.body, smallBinary.headers) },
    { name: 'REST binary large', clients: 2, once: (end) => rest(end, largeBinary.body, largeBinary.headers) },
    {
      name: 'REST aborted',
      clients: 2,
      once: async (end) => {
        const controller = new AbortController()
        const timer = setTimeout(() => controller.abort(), random() * 40)
        await rest(end, largeBinary.body, largeBinary.headers, { signal: controller.signal })
        clearTimeout(timer)
      },
    },
    {
      name: 'REST slow reader',
      clients: 2,
      once: (end) => rest(end, largeBinary.body, largeBinary.headers, { slow: true }),
    },
    { name: 'REST stranger', clients: 1, once: strangers },
    { name: 'gRPC small', clients: 4, once: (end) => unary(end, small, stage.token) },
    { name: 'gRPC large', clients: 2, once: (end) => unary(end, large, stage.token) },
    { name: 'gRPC aborted', clients: 2, once: (end) => unary(end, large, stage.token, random() * 40) },
    { name: 'gRPC stranger', clients: 1, once: (end) => unary(end, small, badToken) },
    { name: 'gRPC stream', clients: 2, once: streamed },
  ]

  let running = false
  let loops: Promise<void>[] = []

  async function loop(kind: Kind): Promise<void> {
    while (running) {
      await kind.once(ledger.begin(kind.name, performance.now()))
      await sleep(random() * 40)
    }
  }

  return {
    resume: () => {
      running = true
      loops = kinds.flatMap((kind) => Array.from({ length: kind.clients }, () => loop(kind)))
    },
    pause: async (milliseconds) => {
      running = false
      await Promise.race([Promise.all(loops), sleep(milliseconds)])
    },
    close: async () => {
      running = false
      grpc.close()
      await pool.destroy()
    },
  }
}

/** Tells of each whole message in a stream of gRPC frames, however they are cut. */
function countMessages(onMessage: (index: number) => void): { push: (chunk: Buffer) => void; count: () => number } {
  let rest: Buffer = Buffer.alloc(0)
  let left = 0
  let count = 0
  return {
    count: () => count,
    push: (chunk) => {
      let bytes = left > 0 ? chunk : Buffer.concat([rest, chunk])
      for (;;) {
        if (left > 0) {
          const step = Math.min(left, bytes.length)
          left -= step
          bytes = bytes.subarray(step)
          if (left > 0) return
          onMessage(count)
          count += 1
        }
        if (bytes.length < 5) break
        left = bytes.readUInt32BE(1)
        bytes = bytes.subarray(5)
        if (left > 0) continue
        onMessage(count)
        count += 1
      }
      rest = bytes
    },
  }
}
