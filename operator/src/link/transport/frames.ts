const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const types = { data: 0, headers: 1, reset: 3, continuation: 9 } as const
const endStream = 1
const endHeaders = 4
const padded = 8

/** Why a connection is cut for what came over it. */
export type FrameProblem =
  | 'NotHttp2'
  | 'FrameTooLarge'
  | 'HeadersTooLarge'
  | 'FrameFlood'
  | 'ResetFlood'
  | 'CompressionRefused'
  | 'MessageTooLarge'
  | 'TooManyStreams'
  | 'TooMuchUnfinished'
  | 'TrickledCall'

/** Most that one side may send; rates are per second, bursts what may come at once. */
export type FrameLimits = {
  readonly frameBytes: number
  readonly headerBytes: number
  readonly framesPerSecond: number
  readonly frameBurst: number
  readonly resetsPerSecond: number
  readonly resetBurst: number
  readonly messageBytes: number
  readonly streams: number
  /** Longest time from a call's first frame to its last. */
  readonly callSeconds: number
}

export const frameLimits: FrameLimits = {
  frameBytes: 16_384,
  headerBytes: 8192,
  framesPerSecond: 400,
  frameBurst: 2000,
  resetsPerSecond: 10,
  resetBurst: 50,
  messageBytes: 262_144 + 8192,
  streams: 64,
  callSeconds: 15,
}

/** `prefix`: how many of the five bytes before a message have come, `size` what they say of its length. */
type Stream = { since: number; bytes: number; prefix: number; size: number }

export type FrameReader = {
  /** Looks at bytes that came; the answer is why the connection must be cut, if it must. */
  read(chunk: Uint8Array): FrameProblem | undefined
  /** Whether a call takes too long to arrive. To be asked now and then. */
  overdue(): FrameProblem | undefined
  /** Forgets what has come of unfinished calls. */
  release(): void
}

/**
 * Counts HTTP/2 frames before anything decodes them. What libraries guard late or not at all is bounded here: resets
 * (CVE-2023-44487), CONTINUATION (CVE-2024-27316), pings, empty frames, unfinished calls, compressed messages. `unfinished` is
 * told how bytes of calls that are still arriving grow and shrink, and says whether that is too much for the peer as a whole.
 */
export function createFrameReader(options: {
  /** Whether the other side opens the connection as HTTP/2 client. */
  readonly expectPreface: boolean
  readonly limits: FrameLimits
  /** Milliseconds, monotonic. */
  readonly now: () => number
  readonly unfinished?: (difference: number) => boolean
  /** Counts a frame of the peer on whichever connection; false when there are too many. */
  readonly mayFrame?: () => boolean
}): FrameReader {
  const { limits, now, unfinished = () => true } = options
  const streams = new Map<number, Stream>()
  const frames = options.mayFrame ?? bucket(limits.framesPerSecond, limits.frameBurst, now)
  const resets = bucket(limits.resetsPerSecond, limits.resetBurst, now)
  const head = Buffer.alloc(9)
  let prefaceLeft = options.expectPreface ? preface.length : 0
  let headBytes = 0
  let frame = { type: 0, flags: 0, stream: 0, length: 0, read: 0, pad: 0 }
  let inFrame = false
  let blockBytes = 0

  function beginFrame(): FrameProblem | undefined {
    const length = head.readUIntBE(0, 3)
    frame = {
      type: head[3] ?? 0,
      flags: head[4] ?? 0,
      stream: head.readUInt32BE(5) & 0x7fffffff,
      length,
      read: 0,
      pad: 0,
    }
    if (length > limits.frameBytes) return 'FrameTooLarge'
    if (!frames()) return 'FrameFlood'
    const { type, flags, stream } = frame
    if (type === types.headers || type === types.continuation) {
      blockBytes = type === types.headers ? length : blockBytes + length
      if (blockBytes > limits.headerBytes) return 'HeadersTooLarge'
      if (type === types.headers && (flags & endHeaders) === 0 && length === 0) return 'HeadersTooLarge'
    }
    if (type === types.headers && !streams.has(stream) && (flags & endStream) === 0) {
      if (streams.size >= limits.streams) return 'TooManyStreams'
      streams.set(stream, { since: now(), bytes: 0, prefix: 0, size: 0 })
    }
    if (type === types.reset) {
      if (!resets()) return 'ResetFlood'
      forget(stream)
    }
    if (type === types.data) {
      const open = streams.get(stream)
      if (open !== undefined) {
        open.bytes += length
        if (open.bytes > limits.messageBytes) return 'MessageTooLarge'
        if (!unfinished(length)) return 'TooMuchUnfinished'
      }
    }
    return undefined
  }

  function payload(byte: number): FrameProblem | undefined {
    if (frame.type !== types.data) return undefined
    const open = streams.get(frame.stream)
    const hasPad = (frame.flags & padded) !== 0
    if (open === undefined || open.prefix === 5 || (hasPad && frame.read === 0)) return undefined
    if (open.prefix === 0 && byte !== 0) return 'CompressionRefused'
    if (open.prefix > 0) open.size = open.size * 256 + byte
    open.prefix += 1
    return open.size > limits.messageBytes ? 'MessageTooLarge' : undefined
  }

  function endFrame(): void {
    const { type, flags, stream } = frame
    if ((type === types.data || type === types.headers) && (flags & endStream) !== 0) forget(stream)
  }

  function forget(stream: number): void {
    const open = streams.get(stream)
    if (open === undefined) return
    streams.delete(stream)
    unfinished(-open.bytes)
  }

  return {
    read(chunk) {
      for (let at = 0; at < chunk.length; ) {
        if (prefaceLeft > 0) {
          if (chunk[at] !== preface.charCodeAt(preface.length - prefaceLeft)) return 'NotHttp2'
          prefaceLeft -= 1
          at += 1
          continue
        }
        if (!inFrame) {
          head[headBytes] = chunk[at] ?? 0
          headBytes += 1
          at += 1
          if (headBytes < 9) continue
          headBytes = 0
          const problem = beginFrame()
          if (problem !== undefined) return problem
          inFrame = true
        }
        // Of a payload only the first bytes can matter: length of the padding, flag and length of a message.
        for (; frame.read < Math.min(6, frame.length) && at < chunk.length; frame.read++, at++) {
          const problem = payload(chunk[at] ?? 0)
          if (problem !== undefined) return problem
        }
        const rest = Math.min(frame.length - frame.read, chunk.length - at)
        frame.read += rest
        at += rest
        if (frame.read < frame.length) continue
        inFrame = false
        endFrame()
      }
      return undefined
    },
    overdue() {
      const oldest = now() - limits.callSeconds * 1000
      for (const { since } of streams.values()) if (since < oldest) return 'TrickledCall'
      return undefined
    },
    release() {
      for (const stream of [...streams.keys()]) forget(stream)
    },
  }
}

function bucket(perSecond: number, burst: number, now: () => number): () => boolean {
  let tokens = burst
  let at = now()
  return () => {
    const time = now()
    tokens = Math.min(burst, tokens + ((time - at) / 1000) * perSecond)
    at = time
    if (tokens < 1) return false
    tokens -= 1
    return true
  }
}
