import type { TLSSocket } from 'node:tls'
import { checkBundle } from '../federation/bundle.ts'
import type { Clock } from '../kube/clock.ts'
import { messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import { dialForBundle } from './dial.ts'
import type { LinkPeer } from './link-peer.ts'
import type { Refusals } from './refusals.ts'
import { CallError, codes } from './transport/call-error.ts'
import { route, serveCalls } from './transport/callee.ts'
import { openCaller } from './transport/caller.ts'
import { type FrameLimits, frameLimits } from './transport/frames.ts'
import { guardedSocket } from './transport/guarded-socket.ts'
import { alpn, exchange } from './wire/methods.ts'

const seconds = 10
/** Enough for one call: nobody has proved anything here. */
const limits: FrameLimits = {
  ...frameLimits,
  ...{ framesPerSecond: 20, frameBurst: 80, resetBurst: 2, streams: 2, callSeconds: 5 },
}

export type BundleExchange = {
  /** Serves a connection that a stranger opened with the server name of one of these peers. */
  serve(socket: TLSSocket, peers: readonly LinkPeer[], address: string): void
  /** Dials the peer, gives it our bundle and takes its. Throws HansaError. */
  fetch(peer: LinkPeer, signal: AbortSignal): Promise<void>
}

/**
 * Exchange of root-signed bundles without certificates: the way back for an owner that was away for so long that neither side
 * knows a certificate of the other any more. What a bundle says is believed for the signature of its pinned root key alone.
 */
export function createBundleExchange(deps: {
  clock: Clock
  log: Logger
  refusals: Refusals
  /** Takes a bundle that was checked and is newer than the one in use. */
  onBundle: (peerName: string, envelope: string) => void
}): BundleExchange {
  const { clock, refusals } = deps

  /** The problem, if this is not a bundle of the peer that is newer than what is known. */
  function take(peer: LinkPeer, envelope: string): string | undefined {
    const { spec, status } = peer.peer
    if (spec.rootKey === undefined) return 'no root key is pinned'
    const known = status?.bundle
    if (envelope === known?.envelope) return undefined
    const verdict = checkBundle(envelope, {
      pinnedKey: spec.rootKey,
      knownKey: status?.rootKey,
      clusterName: spec.clusterName,
      atLeastSequence: (known?.sequence ?? 0) + 1,
      now: clock.now(),
    })
    if (!verdict.ok) return verdict.problem.reason
    deps.onBundle(peer.name, envelope)
    return undefined
  }

  function guard(socket: TLSSocket, expectPreface: boolean, address: string) {
    return guardedSocket(socket, {
      ...{ expectPreface, limits, silentSeconds: 2 * seconds, writeSeconds: seconds, clock },
      onProblem: (reason) => refusals.refused({ reason, address, what: alpn.bundle }),
    })
  }

  return {
    serve(socket, peers, address) {
      const guarded = guard(socket, true, address)
      guarded.on('error', () => guarded.destroy())
      const [first] = peers
      const callee = serveCalls(guarded, {
        streams: 1,
        routes: [
          route(exchange, async ({ envelope }) => {
            if (first === undefined || peers.every(({ mode }) => mode === 'Closing')) {
              throw new CallError(codes.permissionDenied, 'NotAPeer', 'no bundles are exchanged')
            }
            const problems = envelope === '' ? [] : peers.map((peer) => ({ peer, problem: take(peer, envelope) }))
            // Of several clusters of one owner a bundle is of one; an old bundle is answered with ours all the same.
            if (problems.length > 0 && problems.every(({ problem }) => problem !== undefined)) {
              const reason = `Bundle${problems[0]?.problem ?? 'Malformed'}`
              if (reason !== 'BundleRollback') {
                throw new CallError(codes.invalidArgument, reason, 'the bundle is not taken')
              }
            }
            return { envelope: first.own.envelope }
          }),
        ],
        onRefused: (path, reason) => refusals.refused({ reason, address, what: path }),
      })
      const cancel = clock.after(seconds * 1000, () => guarded.destroy())
      guarded.once('close', () => {
        cancel()
        callee.destroy()
      })
    },
    async fetch(peer, signal) {
      const socket = await dialForBundle(peer, alpn.bundle, { signal })
      const guarded = guard(socket, false, peer.name)
      guarded.on('error', () => guarded.destroy())
      const caller = openCaller(guarded, { clock })
      try {
        const { envelope } = await caller.call(exchange, { envelope: peer.own.envelope }, { signal, timeoutSeconds: 5 })
        const problem = take(peer, envelope)
        if (problem !== undefined && problem !== 'Rollback') {
          refusals.refused({ reason: `Bundle${problem}`, peer: peer.name, what: alpn.bundle })
        }
      } finally {
        caller.close(0).catch((error: unknown) => deps.log.debug({ error: messageOf(error) }, 'closing failed'))
      }
    },
  }
}
