// Holds a key that no other process sees, as a device would: `make` answers with its public key, anything else is signed.
import { generateKeyPairSync, sign } from 'node:crypto'
import { createInterface } from 'node:readline'

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

for await (const line of createInterface({ input: process.stdin })) {
  const { id, bytes }: { id: number; bytes?: string } = JSON.parse(line)
  const answer =
    bytes === undefined
      ? publicKey.export({ type: 'spki', format: 'der' })
      : sign('sha256', Buffer.from(bytes, 'base64'), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  process.stdout.write(`${JSON.stringify({ id, answer: answer.toString('base64') })}\n`)
}
