import { request } from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { Identity } from '@hansa/operator/identity/identity.ts'
import { clientTls } from '@hansa/operator/identity/tls.ts'
import { heldOutDigits } from '../../demo/ask.ts'

/** A worker as the gateway knows it. */
export type WorkerAddress = { host: string; uri: string; model: string }

/** `NotTaken`: the worker said that it is leaving, or took no connection; nothing was begun. */
export type Outcome = { kind: 'Served' | 'NotTaken' | 'Failed'; began: number; text: string }

export type GuestLoad = {
  /** Ends the load; all that was asked, each with when it began, in milliseconds of `performance.now`. */
  stop(): Promise<Outcome[]>
}

const everyMilliseconds = 100
const pictures = 128
// One in so many takes so long to be sent: it is still under way when its worker takes nothing new any more.
const slowOneIn = 5
const slowMilliseconds = 3_000
const deadlineMilliseconds = 30_000

/**
 * Asks one worker as the gateway does, a new request and a new connection every tenth of a second, whatever became of those before;
 * every fifth request takes three seconds to be sent.
 */
export async function startGuestLoad(gateway: Identity, worker: WorkerAddress): Promise<GuestLoad> {
  const images = (await heldOutDigits()).slice(0, pictures)
  const input = { name: 'image', datatype: 'FP32', shape: [images.length, 64] }
  const body = JSON.stringify({ inputs: [{ ...input, data: images.flatMap(({ image }) => image) }] })
  const running = new Set<Promise<unknown>>()
  const outcomes: Outcome[] = []
  let asked = 0
  const timer = setInterval(() => {
    asked += 1
    const pause = asked % slowOneIn === 0 ? slowMilliseconds : 0
    const one = infer(gateway, worker, { body, pause }).then((outcome) => outcomes.push(outcome))
    running.add(one)
    void one.finally(() => running.delete(one))
  }, everyMilliseconds)
  return {
    async stop() {
      clearInterval(timer)
      await Promise.all(running)
      return outcomes
    },
  }
}

type Sending = { body: string /** Between the halves of the body, in milliseconds. */; pause: number }

function infer(gateway: Identity, { host, uri, model }: WorkerAddress, { body, pause }: Sending): Promise<Outcome> {
  const began = performance.now()
  return new Promise((resolve) => {
    let isConnected = false
    let rest: NodeJS.Timeout | undefined
    const end = (kind: Outcome['kind'], text: string) => {
      clearTimeout(rest)
      resolve({ kind, began, text: pause > 0 ? `slow: ${text}` : text })
    }
    const outgoing = request({
      ...{ host, port: 8443, method: 'POST', path: `/v2/models/${model}/infer`, agent: false },
      ...clientTls(gateway, uri),
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      signal: AbortSignal.timeout(deadlineMilliseconds),
    })
    outgoing.on('socket', (socket) => {
      // Only TLS is asked for.
      ;(socket as TLSSocket).once('secureConnect', () => {
        isConnected = true
      })
    })
    outgoing.on('error', (error) => end(isConnected ? 'Failed' : 'NotTaken', error.message))
    outgoing.on('response', (answer) => {
      const pieces: Buffer[] = []
      answer.on('data', (piece: Buffer) => pieces.push(piece))
      answer.on('error', (error) => end('Failed', error.message))
      answer.on('end', () => {
        const text = Buffer.concat(pieces).toString('utf8')
        const { statusCode } = answer
        if (statusCode === 200) end('Served', '')
        else if (statusCode === 503 && text.includes('shutting down')) end('NotTaken', '503 draining')
        else end('Failed', `${statusCode} ${text.slice(0, 100)}`)
      })
    })
    const half = pause > 0 ? body.length / 2 : body.length
    outgoing.write(body.slice(0, half))
    rest = setTimeout(() => outgoing.end(body.slice(half)), pause)
  })
}
