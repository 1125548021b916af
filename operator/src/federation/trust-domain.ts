import { createHash } from 'node:crypto'

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** Trust domain of an owner: base32 (RFC 4648, lower case, no padding) of the SHA-256 of its first root key, 52 characters. */
export function trustDomainOfKey(publicKey: string): string {
  return base32(createHash('sha256').update(Buffer.from(publicKey, 'base64')).digest())
}

function base32(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let held = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    bits += 8
    for (; bits >= 5; bits -= 5) text += alphabet[(held >>> (bits - 5)) & 31]
    held &= (1 << bits) - 1
  }
  return bits === 0 ? text : text + alphabet[(held << (5 - bits)) & 31]
}
