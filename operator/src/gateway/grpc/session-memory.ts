/**
 * `maxSessionMemory` of our HTTP/2 connections. Node 24 counts what was still to be sent on a cancelled stream as held for ever, and at
 * its limit breaks every later call of the connection. Windows, stream and header limits bound what a connection really holds.
 */
export const unlimitedMegabytes = 1_000_000
