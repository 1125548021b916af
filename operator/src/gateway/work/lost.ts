/** A peer's gateway has not taken the request: no worker has seen anything of it. */
export class NotTakenError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'NotTakenError'
  }
}

/** The connection to a peer's gateway was lost while a request was under way there. */
export class PeerLostError extends Error {
  constructor() {
    super('the connection to the gateway of the peer was lost')
    this.name = 'PeerLostError'
  }
}
