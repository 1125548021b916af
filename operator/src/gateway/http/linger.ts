import type { UserRequest, UserResponse } from '../forward/user-side.ts'

const lingerMs = 1000
const lingerBytes = 1024 * 1024

/**
 * Ends an answer whose request may not have arrived whole. The rest of the body is discarded for a moment first, because closing
 * a connection with unread bytes resets it, and the user might never see the answer (RFC 9112 section 9.6).
 */
export function endAfterBody(request: UserRequest, response: UserResponse): void {
  if (request.complete || request.destroyed) {
    response.end()
    return
  }
  let discarded = 0
  const finish = () => {
    clearTimeout(timer)
    request.off('data', count).off('end', finish).off('close', finish)
    response.end()
  }
  const count = (chunk: Buffer) => {
    discarded += chunk.length
    if (discarded > lingerBytes) finish()
  }
  const timer = setTimeout(finish, lingerMs)
  request.on('data', count).on('end', finish).on('close', finish)
  request.resume()
}
