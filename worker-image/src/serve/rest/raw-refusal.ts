import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'

/** Answers what Node's parser refused before there was a request: bad syntax, too large a head, too slow. */
export function refuseRaw(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy()
  const status = statusOf(error.code)
  const body = JSON.stringify({ error: messages[status] })
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    () => socket.destroy(),
  )
}

const messages = {
  400: 'not a valid HTTP request',
  408: 'the request took too long to arrive',
  431: 'the request head is too large',
} as const

function statusOf(code: string | undefined): keyof typeof messages {
  if (code === 'HPE_HEADER_OVERFLOW') return 431
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
}
