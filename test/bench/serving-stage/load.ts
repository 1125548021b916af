import { Pool } from 'undici'
import { GrpcConnections, grpcEnd, slowRequest, streamPath } from './grpc-client.ts'

/** Where everything is; sent first. */
export type LoadTarget = {
  restUrl: string
  grpcUrl: string
  path: string
  model: string
  token: string
  caPem: string
  turns: number
}

export type LoadOrder =
  | { kind: 'closed'; concurrency: number; seconds: number }
  /** Arrivals by a Poisson process: they do not wait for answers. */
  | { kind: 'open'; rate: number; seconds: number; seed: number }
  /** Opens that many streams, sends one request on each, and leaves them open. */
  | { kind: 'streams'; count: number }
  /** Sends one more request on each open stream; then closes them. */
  | { kind: 'wakeStreams' }

/**
 * Answers by status, 0 for none, with their latencies in milliseconds, sorted. `late`: how far arrivals fell behind their plan; `served`: how many
 * answers of 200 came before the end, and not after it from a queue.
 */
export type LoadReport = { byStatus: Record<number, number[]>; seconds: number; late: number; served: number }

// Its own process, so that its garbage is not the measured processes'. Its first message is the LoadTarget.
const noTarget: LoadTarget = { restUrl: '', grpcUrl: '', path: '', model: '', token: '', caPem: '', turns: 0 }
let target = noTarget
let pool: Pool | undefined
let grpc: GrpcConnections | undefined
type OpenStream = { answered: () => Promise<boolean>; send: () => void; end: () => void }
let streams: OpenStream[] = []

async function request(byStatus: Record<number, number[]>): Promise<void> {
  const began = performance.now()
  let status = 0
  try {
    const answer = await pool?.request({
      path: target.path,
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${target.token}` },
      body: JSON.stringify({
        inputs: [
          { name: 'n', datatype: 'INT64', shape: [], data: [target.turns] },
          { name: 'x', datatype: 'FP32', shape: [1], data: [0] },
        ],
      }),
    })
    await answer?.body.text()
    status = answer?.statusCode ?? 0
  } catch {
    // Counted as status 0.
  }
  const latencies = byStatus[status] ?? []
  byStatus[status] = latencies
  latencies.push(performance.now() - began)
}

async function closed(concurrency: number, seconds: number): Promise<LoadReport> {
  const byStatus: Record<number, number[]> = {}
  const began = performance.now()
  const until = began + seconds * 1000
  const loop = async () => {
    while (performance.now() < until) await request(byStatus)
  }
  await Promise.all(Array.from({ length: concurrency }, loop))
  return report(byStatus, began, 0)
}

async function openLoop(rate: number, seconds: number, seed: number): Promise<LoadReport> {
  const byStatus: Record<number, number[]> = {}
  const random = seeded(seed)
  const began = performance.now()
  const all: Promise<void>[] = []
  let due = began
  let late = 0
  for (;;) {
    due += (-Math.log(1 - random()) / rate) * 1000
    if (due > began + seconds * 1000) break
    const wait = due - performance.now()
    if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait))
    late = Math.max(late, performance.now() - due)
    all.push(request(byStatus))
  }
  const ended = performance.now()
  const served = byStatus[200]?.length ?? 0
  await Promise.all(all)
  return { ...report(byStatus, began, late), seconds: (ended - began) / 1000, served }
}

async function openStreams(count: number): Promise<LoadReport> {
  const byStatus: Record<number, number[]> = {}
  const began = performance.now()
  for (let i = 0; i < count; i += 50) {
    const some = Array.from({ length: Math.min(50, count - i) }, openStream)
    streams.push(...some)
    await answers(some, byStatus)
  }
  return report(byStatus, began, 0)
}

function openStream(): OpenStream {
  const stream = grpc?.open(streamPath, target.token)
  if (stream === undefined) throw new Error('the target is not known yet')
  let settle: (answered: boolean) => void = () => {}
  stream.on('data', () => settle(true))
  void grpcEnd(stream).then(() => settle(false))
  let answer = Promise.resolve(false)
  return {
    answered: () => answer,
    send: () => {
      answer = new Promise((resolve) => {
        settle = resolve
      })
      stream.write(slowRequest(target.model, 1))
    },
    end: () => stream.end(),
  }
}

async function answers(some: readonly OpenStream[], byStatus: Record<number, number[]>): Promise<void> {
  await Promise.all(
    some.map(async (stream) => {
      const began = performance.now()
      stream.send()
      const status = (await stream.answered()) ? 200 : 0
      const latencies = byStatus[status] ?? []
      byStatus[status] = latencies
      latencies.push(performance.now() - began)
    }),
  )
}

async function wakeStreams(): Promise<LoadReport> {
  const byStatus: Record<number, number[]> = {}
  const began = performance.now()
  for (let i = 0; i < streams.length; i += 50) await answers(streams.slice(i, i + 50), byStatus)
  for (const stream of streams) stream.end()
  streams = []
  return report(byStatus, began, 0)
}

function report(byStatus: Record<number, number[]>, began: number, late: number): LoadReport {
  for (const latencies of Object.values(byStatus)) latencies.sort((a, b) => a - b)
  return { byStatus, seconds: (performance.now() - began) / 1000, late, served: byStatus[200]?.length ?? 0 }
}

/** Mulberry32: the same arrivals for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

async function run(order: LoadOrder): Promise<LoadReport> {
  switch (order.kind) {
    case 'closed':
      return closed(order.concurrency, order.seconds)
    case 'open':
      return openLoop(order.rate, order.seconds, order.seed)
    case 'streams':
      return openStreams(order.count)
    case 'wakeStreams':
      return wakeStreams()
    default:
      return order satisfies never
  }
}

if (process.send !== undefined && import.meta.main) {
  // The parent is this program's only peer; it sends one LoadTarget, then LoadOrders.
  process.on('message', async (message: LoadTarget | LoadOrder) => {
    if ('restUrl' in message) {
      target = message
      pool = new Pool(target.restUrl, {
        connect: { ca: target.caPem },
        allowH2: false,
        connections: 512,
        pipelining: 1,
      })
      grpc = new GrpcConnections(target.grpcUrl, target.caPem, 100)
      process.send?.('ready')
    } else process.send?.(await run(message))
  })
  process.on('disconnect', () => process.exit())
}
