import { connect as connectTcp } from 'node:net'
import { type ConnectionOptions, connect } from 'node:tls'
import { eventually, inferenceService, type Rig, startRig } from '../../integration/gateway/gateway-under-test.ts'
import type { Observed, Started } from '../case.ts'

export type GatewayContext = {
  port: number
  caPem: string
  token: string
  rig: Rig
  /** Requests that reached the worker whole. */
  letThrough(): number
}

export const path = '/apps/digits/v2/models/digits/infer'

/** A gateway with one service and one worker; the worker counts what reaches it whole. */
export async function startGatewayTarget(): Promise<Started<GatewayContext>> {
  const rig = await startRig({
    services: [inferenceService('digits', 'apps', { limits: { requestBytes: 65_536 } })],
    settings: { headerSeconds: 1 },
  })
  const worker = await rig.addWorker()
  let whole = 0
  worker.handle = (request, response) => {
    request.resume()
    request.on('end', () => {
      if (request.complete) whole += 1
      response.writeHead(200).end('ok')
    })
  }
  const token = await rig.token()
  const context: GatewayContext = {
    port: Number(new URL(rig.gateway.url).port),
    caPem: rig.authority.caPem,
    token,
    rig,
    letThrough: () => whole,
  }
  return {
    context,
    alive: async () => {
      const before = whole
      const answer = await rig.call(path, { method: 'POST', body: 'x', token })
      if (answer.status !== 200) return `the gateway answers a good request with ${answer.status}`
      await eventually(() => {
        if (whole !== before + 1) throw new Error('the good request did not arrive')
      })
      whole = before
      return undefined
    },
    stop: () => rig.stop(),
  }
}

/** Sends bytes over TLS as they are, and says what came back until the gateway closed or `quietMs` passed without a byte. */
export async function sendOverTls(
  context: GatewayContext,
  bytes: Uint8Array | readonly Uint8Array[],
  signal: AbortSignal,
  options: { tls?: ConnectionOptions; pauseMs?: number; end?: boolean; quietMs?: number } = {},
): Promise<Observed> {
  const before = context.letThrough()
  const socket = connect({
    host: '127.0.0.1',
    port: context.port,
    ca: context.caPem,
    servername: 'localhost',
    ...options.tls,
  })
  const text = await converse(socket, bytes, signal, options)
  return observe(text, context.letThrough() - before)
}

/** The same without TLS. */
export async function sendPlain(context: GatewayContext, bytes: Uint8Array, signal: AbortSignal): Promise<Observed> {
  const before = context.letThrough()
  const socket = connectTcp({ host: '127.0.0.1', port: context.port })
  return observe(await converse(socket, bytes, signal, {}), context.letThrough() - before)
}

async function converse(
  socket: ReturnType<typeof connectTcp>,
  bytes: Uint8Array | readonly Uint8Array[],
  signal: AbortSignal,
  { pauseMs = 0, end = false, quietMs = 1500 }: { pauseMs?: number; end?: boolean; quietMs?: number },
): Promise<string> {
  const received: Buffer[] = []
  const stop = () => socket.destroy()
  signal.addEventListener('abort', stop, { once: true })
  let quiet = setTimeout(stop, 5000)
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => {
    received.push(chunk)
    clearTimeout(quiet)
    quiet = setTimeout(stop, quietMs)
  })
  const closed = new Promise((resolve) => socket.once('close', resolve))
  for (const piece of bytes instanceof Uint8Array ? [bytes] : bytes) {
    if (socket.destroyed) break
    socket.write(piece)
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
  if (end) socket.end()
  await closed
  clearTimeout(quiet)
  signal.removeEventListener('abort', stop)
  return Buffer.concat(received).toString('latin1')
}

/** All answers on the connection must be refusals, and nothing may have reached the worker whole. */
function observe(text: string, reached: number): Observed {
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
  if (reached > 0) return { outcome: 'accepted', detail: `${reached} requests reached the worker; answers ${statuses}` }
  const good = statuses.find((status) => status < 400)
  if (good !== undefined) return { outcome: 'accepted', detail: `answered ${good}` }
  const [status] = statuses
  if (status === undefined) return { outcome: 'refused', message: 'connection closed' }
  const body = text.slice(text.indexOf('\r\n\r\n') + 4)
  if (!/^\{"error":"[^"]+"\}/.test(body))
    return { outcome: 'accepted', detail: `${status} without {"error"}: ${body.slice(0, 100)}` }
  return { outcome: 'refused', status, message: body }
}
