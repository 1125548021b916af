import { connect, type OutgoingHttpHeaders } from 'node:http2'

export type RawCall = { httpStatus: number; code: number | undefined; message: string }

/** A gRPC frame: flag, length, message; the length may be a lie. */
export function frame(message: Uint8Array, length = message.byteLength, flag = 0): Buffer {
  const prefix = Buffer.alloc(5)
  prefix[0] = flag
  prefix.writeUInt32BE(length, 1)
  return Buffer.concat([prefix, message])
}

/** Sends headers and bytes as they are, so that tests can send what no client would. */
export async function rawCall(
  address: string,
  body: Uint8Array,
  headers: OutgoingHttpHeaders = {},
  options: { keepOpen?: boolean } = {},
): Promise<RawCall> {
  const session = connect(`http://${address}`)
  try {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/inference.GRPCInferenceService/ModelInfer',
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    })
    const seen: OutgoingHttpHeaders = {}
    stream.on('response', (answer) => Object.assign(seen, answer))
    stream.on('trailers', (trailers) => Object.assign(seen, trailers))
    const ended = Promise.withResolvers<void>()
    stream.on('end', ended.resolve).on('close', ended.resolve).on('error', ended.resolve)
    stream.resume()
    if (options.keepOpen === true) stream.write(body)
    else stream.end(body)
    await ended.promise
    const code = seen['grpc-status']
    return {
      httpStatus: Number(seen[':status']),
      code: code === undefined ? undefined : Number(code),
      message: decodeURIComponent(String(seen['grpc-message'] ?? '')),
    }
  } finally {
    session.destroy()
  }
}
