/** What an exchange needs of a request; an `IncomingMessage` is one. */
export type UserRequest = {
  readonly method?: string | undefined
  readonly url?: string | undefined
  /** The body has arrived whole. */
  readonly complete: boolean
  readonly destroyed: boolean
  on(event: 'data', listener: (chunk: Buffer) => void): UserRequest
  on(event: 'end' | 'close', listener: () => void): UserRequest
  off(event: 'data', listener: (chunk: Buffer) => void): UserRequest
  off(event: 'end' | 'close', listener: () => void): UserRequest
  pause(): unknown
  resume(): unknown
}

/** What an exchange needs of an answer; a `ServerResponse` is one. */
export type UserResponse = {
  readonly headersSent: boolean
  readonly statusCode: number
  shouldKeepAlive: boolean
  writeHead(status: number, headers: string[] | Record<string, string | number>): unknown
  /** False when the other side is slower: `drain` follows. */
  write(chunk: Buffer): boolean
  once(event: 'drain', listener: () => void): unknown
  on(event: 'close', listener: () => void): unknown
  writeContinue(): void
  end(): unknown
  /** Closes without an end, so that what was sent counts as broken off. */
  destroy(): unknown
}
