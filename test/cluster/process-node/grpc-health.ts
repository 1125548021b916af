import { connect } from 'node:http2'

/** Asks the gRPC health service of a server without TLS; resolves to what is wrong, undefined when it serves. */
export function checkGrpcHealth(authority: string, service: string, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const session = connect(`http://${authority}`)
    const finish = (problem?: string) => {
      resolve(problem)
      session.destroy()
    }
    session.once('error', (error) => finish(error.message))
    signal.addEventListener('abort', () => finish('timeout'), { once: true })
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.once('error', (error) => finish(error.message))
    stream.once('end', () => {
      // Five bytes of frame, then field 1 as a varint; 1 is SERVING.
      const status = Buffer.concat(chunks).subarray(5, 7)
      finish(status.equals(Buffer.from([0x08, 0x01])) ? undefined : 'service is not serving')
    })
    stream.end(healthRequest(service))
  })
}

function healthRequest(service: string): Buffer {
  const name = Buffer.from(service)
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name])
  const frame = Buffer.alloc(5)
  frame.writeUInt32BE(message.length, 1)
  return Buffer.concat([frame, message])
}
