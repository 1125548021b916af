import type { Duplex } from 'node:stream'
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js'
import { HansaError, messageOf } from '../../process/errors.ts'
import { maxMessageBytes } from '../wire/messages.ts'
import type { Method } from '../wire/methods.ts'
import { CallError, codes } from './call-error.ts'

/** A method and who answers it. */
export type Route = {
  readonly path: string
  readonly decode: (bytes: Buffer) => unknown
  readonly answer: (request: unknown, signal: AbortSignal) => Promise<Buffer>
}

/** Ties a method to its handler; what it throws becomes the status of the call (CallError) or INTERNAL without details. */
export function route<Request, Response>(
  method: Method<Request, Response>,
  handle: (request: Request, signal: AbortSignal) => Promise<Response>,
): Route {
  return {
    path: method.path,
    decode: (bytes) => method.request.decode(bytes),
    // `decode` of the same route made the request.
    answer: async (request, signal) => method.response.encode(await handle(request as Request, signal)),
  }
}

export type Callee = {
  /** Says that no new calls are wanted, lets those under way end, then closes. */
  drain(graceMilliseconds: number): void
  destroy(): void
}

type Decoded = { ok: true; request: unknown } | { ok: false; why: string }

const handlerMilliseconds = 20_000
const sessionMegabytes = 8
/** Of a path that a stranger chose, so much goes into a log line. */
const longestPath = 128

/**
 * Answers calls on one connection. Each connection has a server of its own, so that a handler knows by construction whose calls
 * it answers; nothing in a call can change that.
 */
export function serveCalls(
  socket: Duplex,
  options: {
    routes: readonly Route[]
    /** Calls at once. */
    streams: number
    onRefused: (path: string, reason: string, message: string) => void
  },
): Callee {
  const server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.max_concurrent_streams': options.streams,
    'grpc.enable_channelz': 0,
    'grpc-node.max_session_memory': sessionMegabytes,
  })
  const decodedBy =
    (each: Route) =>
    (bytes: Buffer): Decoded => {
      try {
        return { ok: true, request: each.decode(bytes) }
      } catch (error) {
        return { ok: false, why: messageOf(error) }
      }
    }
  for (const each of options.routes) {
    const handle = (call: ServerUnaryCall<Decoded, Buffer>, reply: sendUnaryData<Buffer>) => {
      const ending = new AbortController()
      call.on('cancelled', () => ending.abort())
      const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(handlerMilliseconds)])
      answer(each, call.request, signal).then(
        (message) => reply(null, message),
        (thrown: unknown) => {
          const error = refusalOf(thrown)
          options.onRefused(each.path, error.reason, error.message)
          reply({ code: error.code, details: `${error.reason}: ${error.message}` })
        },
      )
    }
    server.register(each.path, handle, (message: Buffer) => message, decodedBy(each), 'unary')
  }
  tellUnknown(server, (path) => {
    options.onRefused(path.slice(0, longestPath), 'UnknownMethod', 'there is no such method')
  })
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  injector.injectConnection(socket)
  return {
    drain: (graceMilliseconds) => injector.drain(graceMilliseconds),
    destroy: () => {
      socket.destroy()
      injector.destroy()
    },
  }
}

/**
 * Tells of calls of methods that are not registered. grpc-js answers them UNIMPLEMENTED by itself and has no hook for it; this is where
 * it looks a path up. Should that change its name, calls are still refused and a test fails.
 */
function tellUnknown(server: Server, tell: (path: string) => void): void {
  const inner = server as unknown as { _retrieveHandler?: (path: string) => unknown }
  const lookUp = inner._retrieveHandler
  if (lookUp === undefined) return
  inner._retrieveHandler = (path) => {
    const found = lookUp.call(server, path)
    if (found === null || found === undefined) tell(path)
    return found
  }
}

async function answer(each: Route, decoded: Decoded, signal: AbortSignal): Promise<Buffer> {
  if (!decoded.ok) throw new CallError(codes.invalidArgument, 'Malformed', decoded.why)
  return each.answer(decoded.request, signal)
}

function refusalOf(thrown: unknown): CallError {
  if (thrown instanceof CallError) return thrown
  const reason = thrown instanceof HansaError ? thrown.reason : 'InternalError'
  return new CallError(codes.internal, reason, 'the call failed here', thrown)
}
