import { type FrameLimits, frameLimits } from './transport/frames.ts'

/** What one peer, or one stranger, may take of the link. */
export type LinkLimits = {
  readonly frames: FrameLimits
  /** Connections that one peer may have opened to us at once. */
  readonly connectionsPerPeer: number
  /** New connections of one peer; those over it are closed after the handshake. */
  readonly newConnectionsPerSecond: number
  readonly newConnectionBurst: number
  /** Calls at once on one connection. */
  readonly streams: number
  readonly callsPerSecond: number
  readonly callBurst: number
  /** Bytes of messages that have not arrived as a whole, all connections of a peer together. */
  readonly unfinishedBytes: number
  readonly silentSeconds: number
  readonly writeSeconds: number
  readonly handshakeSeconds: number
  /** Connections of one address that have not shown a good certificate yet. */
  readonly strangersPerAddress: number
  /** The same of all addresses together. */
  readonly strangers: number
  readonly handshakesPerSecond: number
  readonly handshakeBurst: number
  /** GuestWorks of one peer that are neither refused nor ended. */
  readonly openRequests: number
}

export const linkLimits: LinkLimits = {
  frames: frameLimits,
  connectionsPerPeer: 16,
  newConnectionsPerSecond: 2,
  newConnectionBurst: 60,
  streams: 8,
  callsPerSecond: 30,
  callBurst: 120,
  unfinishedBytes: 4 * 1024 * 1024,
  silentSeconds: 12,
  writeSeconds: 10,
  handshakeSeconds: 5,
  strangersPerAddress: 32,
  strangers: 512,
  handshakesPerSecond: 10,
  handshakeBurst: 100,
  openRequests: 64,
}
