import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../kube/clock.ts'
import { messageOf } from '../../process/errors.ts'
import { maxMessageBytes } from '../wire/messages.ts'
import type { Method } from '../wire/methods.ts'
import { CallError, codes } from './call-error.ts'

const pingMilliseconds = 4000
const keptRoundTrips = 8
const maxMessageCharacters = 512

/** Calls methods of the other side of one connection. */
export type Caller = {
  /** Throws CallError. */
  call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: { signal: AbortSignal; timeoutSeconds: number },
  ): Promise<Response>
  /** Whether new calls may be made: the connection is open and neither side wants to end it. */
  usable(): boolean
  /** The shortest of the last round trips, in milliseconds; undefined before the first. */
  roundTrip(): number | undefined
  /** Takes no new calls; ends when those under way have, or after the time. */
  close(graceMilliseconds: number): Promise<void>
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>
}

/**
 * A caller over a socket that is there already. Our own and not grpc-js' channel, which insists on dialling (and dialling anew)
 * by itself: here whoever opened the socket decides about that, also where the other side did (ADR 0020).
 */
export function openCaller(socket: Duplex, deps: { clock: Clock; pingSeconds?: number }): Caller {
  const { clock } = deps
  const session = connect('http://link', {
    createConnection: () => socket,
    settings: { enablePush: false, maxConcurrentStreams: 0, initialWindowSize: maxMessageBytes },
    maxHeaderListPairs: 32,
    maxSessionMemory: 4,
  })
  const { promise: closed, resolve: markClosed } = Promise.withResolvers<void>()
  const period = deps.pingSeconds === undefined ? pingMilliseconds : deps.pingSeconds * 1000
  let stopPinging = clock.after(period, ping)
  session.on('error', () => session.destroy())
  session.on('close', () => {
    stopPinging()
    socket.destroy()
    markClosed()
  })

  // Work on either side makes single ones longer, and nothing makes one shorter.
  const roundTrips: number[] = []

  // Pings keep the ways through NATs and proxies open; whether the other side lives is told by the bytes that come.
  function ping(): void {
    if (session.destroyed) return
    if (!session.closed) {
      session.ping((error, milliseconds) => {
        if (error !== null) return
        roundTrips.push(milliseconds)
        if (roundTrips.length > keptRoundTrips) roundTrips.shift()
      })
    }
    stopPinging = clock.after(period, ping)
  }

  return {
    closed,
    roundTrip: () => (roundTrips.length === 0 ? undefined : Math.min(...roundTrips)),
    usable: () => !session.closed && !session.destroyed && !socket.destroyed,
    call: (method, request, { signal, timeoutSeconds }) =>
      unary(session, clock, method.path, method.request.encode(request), signal, timeoutSeconds).then((bytes) => {
        try {
          return method.response.decode(bytes)
        } catch (cause) {
          throw new CallError(
            codes.internal,
            'AnswerMalformed',
            `the answer cannot be read: ${messageOf(cause)}`,
            cause,
          )
        }
      }),
    close: async (graceMilliseconds) => {
      const cancel = clock.after(graceMilliseconds, () => session.destroy())
      if (!session.closed && !session.destroyed) session.close()
      await closed
      cancel()
    },
  }
}

function unary(
  session: ClientHttp2Session,
  clock: Clock,
  path: string,
  message: Buffer,
  signal: AbortSignal,
  timeoutSeconds: number,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) throw cancelled(signal)
    let stream: ClientHttp2Stream
    try {
      stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        'grpc-timeout': `${Math.ceil(timeoutSeconds * 1000)}m`,
      })
    } catch (cause) {
      throw new CallError(codes.unavailable, 'Disconnected', 'the connection is closing', cause)
    }
    const parts: Buffer[] = []
    let bytes = 0
    let status: { code: number; message: string } | undefined
    const onAbort = () => fail(cancelled(signal))
    const cancelTimer = clock.after(timeoutSeconds * 1000, () =>
      fail(new CallError(codes.deadlineExceeded, 'NoAnswer', `no answer to ${path} within ${timeoutSeconds} s`)),
    )
    signal.addEventListener('abort', onAbort, { once: true })

    function settle(): void {
      cancelTimer()
      signal.removeEventListener('abort', onAbort)
    }
    function fail(error: CallError): void {
      settle()
      reject(error)
      if (!stream.destroyed) stream.close(constants.NGHTTP2_CANCEL)
    }
    function takeStatus(headers: Record<string, unknown>): void {
      const code = Number(headers['grpc-status'])
      if (headers['grpc-status'] === undefined || !Number.isInteger(code)) return
      status = { code, message: readable(headers['grpc-message']) }
    }

    stream.on('response', (headers) => {
      takeStatus(headers)
      if (headers[':status'] !== 200) {
        fail(new CallError(codes.unavailable, 'NotGrpc', `the other side answers with HTTP ${headers[':status']}`))
      }
    })
    stream.on('trailers', takeStatus)
    stream.on('data', (part: Buffer) => {
      bytes += part.length
      if (bytes > maxMessageBytes + 5) {
        fail(new CallError(codes.resourceExhausted, 'AnswerTooLarge', 'the answer is over the limit'))
      } else parts.push(part)
    })
    stream.on('error', (cause) => {
      fail(new CallError(codes.unavailable, 'Disconnected', `the call was cut: ${messageOf(cause)}`, cause))
    })
    stream.on('close', () => {
      const answer = answerOf(status, Buffer.concat(parts))
      if (answer instanceof CallError) fail(answer)
      else {
        settle()
        resolve(answer)
      }
    })
    const head = Buffer.alloc(5)
    head.writeUInt32BE(message.length, 1)
    stream.end(Buffer.concat([head, message]))
  })
}

function answerOf(status: { code: number; message: string } | undefined, whole: Buffer): Buffer | CallError {
  if (status === undefined) {
    return new CallError(codes.unavailable, 'Disconnected', 'the connection ended before the answer')
  }
  if (status.code !== codes.ok) return refusalOf(status.code, status.message)
  if (whole.length < 5 || whole[0] !== 0 || whole.readUInt32BE(1) !== whole.length - 5) {
    return new CallError(codes.internal, 'AnswerMalformed', 'the answer is not one plain message')
  }
  return whole.subarray(5)
}

/** Our callees begin the message with the reason. */
function refusalOf(code: number, text: string): CallError {
  const [, reason = 'Refused', message = text] = /^([A-Z][A-Za-z]{1,63}): (.*)$/.exec(text) ?? []
  return new CallError(code, reason, message)
}

function cancelled(signal: AbortSignal): CallError {
  return new CallError(codes.cancelled, 'Cancelled', messageOf(signal.reason), signal.reason)
}

/** A status message as a stranger sent it, short and printable. */
function readable(text: unknown): string {
  const raw = String(text ?? '').slice(0, 3 * maxMessageCharacters)
  let decoded = raw
  try {
    decoded = decodeURIComponent(raw)
  } catch {
    decoded = raw // not percent-encoded as gRPC wants it: shown as it is
  }
  return decoded.replace(/[^\x20-\x7e]/g, '?').slice(0, maxMessageCharacters)
}
