import type { UserRequest } from './user-side.ts'

/** Bodies up to this size are read before a worker is chosen: slow senders then hold no worker, and the body can be sent twice. */
export const smallBodyBytes = 64 * 1024

/** Collects a body of a declared length up to `smallBodyBytes`; Node's parser ends it at that length. */
export function readSmallBody(request: UserRequest, done: (body: Buffer) => void): void {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const [only] = chunks
    done(chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks))
  })
}
