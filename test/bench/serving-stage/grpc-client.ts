import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'

export const unaryPath = '/inference.GRPCInferenceService/ModelInfer'
export const streamPath = '/inference.GRPCInferenceService/ModelStreamInfer'

/** Connections to the gateway's gRPC by node:http2: lighter than a whole client where thousands of calls come from one process. */
export class GrpcConnections {
  readonly #url: string
  readonly #caPem: string
  readonly #perConnection: number
  #sessions: { session: ClientHttp2Session; streams: number }[] = []

  constructor(url: string, caPem: string, perConnection: number) {
    this.#url = url
    this.#caPem = caPem
    this.#perConnection = perConnection
  }

  open(path: string, token: string, headers: Record<string, string> = {}): ClientHttp2Stream {
    this.#sessions = this.#sessions.filter(({ session }) => !session.closed && !session.destroyed)
    let entry = this.#sessions.find(({ streams }) => streams < this.#perConnection)
    if (entry === undefined) {
      const session = connect(this.#url, {
        ca: this.#caPem,
        ALPNProtocols: ['h2'],
        // Node counts what was still to be sent on a cancelled stream as held for ever.
        maxSessionMemory: 1_000_000,
      })
      session.on('error', () => undefined)
      entry = { session, streams: 0 }
      this.#sessions.push(entry)
    }
    const held = entry
    held.streams += 1
    const stream = held.session.request(
      {
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        authorization: `Bearer ${token}`,
        ...headers,
      },
      { endStream: false },
    )
    stream.once('close', () => {
      held.streams -= 1
    })
    return stream
  }

  close(): void {
    for (const { session } of this.#sessions) session.destroy()
  }
}

export type GrpcEnd = { code: number | undefined; bytes: number; rstCode: number }

/** Resolves when the call has ended in whatever way; `code` is undefined when no status came. */
export function grpcEnd(stream: ClientHttp2Stream): Promise<GrpcEnd> {
  return new Promise((resolve) => {
    let code: number | undefined
    let bytes = 0
    const read = (headers: Record<string, unknown>) => {
      const status = headers['grpc-status']
      if (typeof status === 'string') code = Number(status)
    }
    stream.on('response', read)
    stream.on('trailers', read)
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    stream.on('error', () => undefined)
    stream.once('close', () => resolve({ code, bytes, rstCode: stream.rstCode ?? constants.NGHTTP2_NO_ERROR }))
  })
}

/** A framed ModelInferRequest for `model` with raw INT64 `n` (scalar) and FP32 `x` ([1]), the inputs of `slowModel`. */
export function slowRequest(model: string, turns: number): Buffer {
  const n = Buffer.alloc(8)
  n.writeBigInt64LE(BigInt(turns))
  const message = Buffer.concat([
    field(1, Buffer.from(model)),
    field(5, Buffer.concat([field(1, Buffer.from('n')), field(2, Buffer.from('INT64'))])),
    field(5, Buffer.concat([field(1, Buffer.from('x')), field(2, Buffer.from('FP32')), field(3, Buffer.from([1]))])),
    field(7, n),
    field(7, Buffer.alloc(4)),
  ])
  return framed(message)
}

/** A framed ModelInferRequest with one raw FP32 input `x`, the input of an Identity model. */
export function identityRequest(model: string, bytes: number): Buffer {
  const input = [field(1, Buffer.from('x')), field(2, Buffer.from('FP32')), field(3, varint(bytes / 4))]
  return framed(
    Buffer.concat([field(1, Buffer.from(model)), field(5, Buffer.concat(input)), field(7, Buffer.alloc(bytes, 1))]),
  )
}

function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

function field(number: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([number * 8 + 2]), varint(value.length), value])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80)
    rest = Math.floor(rest / 0x80)
  }
  return Buffer.from([...bytes, rest])
}
