import { messagePrefix } from './request-messages.ts'

const liveOrReady = (value: boolean) => framed(value ? Buffer.from([0x08, 0x01]) : Buffer.alloc(0))

/** The gateway's answers to calls that name no service: ServerLive, ServerReady and ServerMetadata. */
export function ownAnswer(method: string, isReady: boolean): Buffer {
  if (method === 'ServerLive') return liveOrReady(true)
  if (method === 'ServerReady') return liveOrReady(isReady)
  return framed(Buffer.concat([field(1, 'hansa-gateway'), field(2, '1')]))
}

function framed(message: Buffer): Buffer {
  return Buffer.concat([messagePrefix(message.length), message])
}

/** A string of fewer than 128 bytes. */
function field(number: number, text: string): Buffer {
  const value = Buffer.from(text)
  return Buffer.concat([Buffer.from([number * 8 + 2, value.length]), value])
}
