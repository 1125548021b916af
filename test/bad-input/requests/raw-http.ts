import { connect } from 'node:net'

export type RawAnswer = { readonly status: number | undefined; readonly head: string; readonly body: string }

/** Sends bytes as they are and collects what comes back until the server closes; at most `maxBytes`. */
export function sendRaw(
  address: { host: string; port: number },
  request: Uint8Array,
  signal: AbortSignal,
  maxBytes = 1 << 24,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address.host, port: address.port })
    const chunks: Buffer[] = []
    let length = 0
    const abort = () => {
      socket.destroy()
      reject(signal.reason)
    }
    signal.addEventListener('abort', abort, { once: true })
    socket.on('connect', () => socket.write(request))
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.byteLength
      if (length > maxBytes) socket.destroy()
    })
    // A reset after the answer is as good as an end: what was received counts.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      signal.removeEventListener('abort', abort)
      resolve(parse(Buffer.concat(chunks).toString('utf8')))
    })
  })
}

function parse(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n')
  const head = end === -1 ? text : text.slice(0, end)
  const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]
  return {
    status: status === undefined ? undefined : Number(status),
    head,
    body: end === -1 ? '' : text.slice(end + 4),
  }
}
