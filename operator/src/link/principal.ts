/** Who speaks on a connection, as its certificate proved; made once at the handshake and never changed. */
export type Principal = Readonly<{ peerName: string; trustDomain: string; clusterName: string }>

/** Who opened a connection: Outbound, we did. */
export type Direction = 'Outbound' | 'Inbound'
