import { type Clock, sleep } from '../kube/clock.ts'
import { HansaError, messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import type { BundleExchange } from './bundle-exchange.ts'
import type { LinkConnection, Purpose } from './connection.ts'
import { addressOf, dial } from './dial.ts'
import type { LinkPeer } from './link-peer.ts'
import type { LinkMetrics } from './metrics.ts'
import type { OwnCertificates } from './own-certificates.ts'
import type { Peerings } from './peerings.ts'
import type { Roster } from './roster.ts'
import { alpn } from './wire/methods.ts'

const firstPauseMilliseconds = 500
const longestPauseMilliseconds = 60_000
/** A connection that lived so long was a good one: the next failure begins with short pauses again. */
const stableMilliseconds = 30_000
const renewalSpreadMilliseconds = 30_000
const greetingMilliseconds = 12_000

/** Why the last attempt to connect to a peer failed, in one word and for people. */
export type DialProblem = { readonly reason: string; readonly message: string }

export type Dialler = {
  /** Undefined while all is well. */
  problemOf(peerName: string): DialProblem | undefined
  close(): Promise<void>
}

/**
 * Keeps one control and one reverse connection to each replica of every peer that we are to dial. A connection is replaced well
 * before a certificate ends: the new one is there before the old one takes no more calls.
 */
export function startDialler(deps: {
  roster: Roster
  certificates: OwnCertificates
  peerings: Peerings
  bundles: BundleExchange
  onProblem: (peerName: string) => void
  clock: Clock
  random: () => number
  log: Logger
  metrics: LinkMetrics
}): Dialler {
  const { roster, certificates, peerings, bundles, clock, random, log, metrics } = deps
  const running = new Map<string, { stop: AbortController; ended: Promise<unknown>; wake: () => void }>()
  const problems = new Map<string, DialProblem>()
  const stopping = new AbortController()

  function wanted(peer: LinkPeer | undefined): peer is LinkPeer {
    return (
      peer !== undefined &&
      peer.mode !== 'Closing' &&
      peer.peer.spec.dial !== 'Them' &&
      addressOf(peer) !== undefined &&
      !stopping.signal.aborted
    )
  }

  function follow(peerName: string): void {
    const known = running.get(peerName)
    if (wanted(roster.get(peerName))) {
      known?.wake()
      if (known !== undefined) return
      const stop = new AbortController()
      const bell = createBell()
      const ended = Promise.all(
        (['control', 'reverse'] as const).map((purpose) => keep(peerName, purpose, stop.signal, bell)),
      )
      running.set(peerName, { stop, ended, wake: bell.ring })
    } else if (known !== undefined) {
      known.stop.abort()
      known.wake()
      running.delete(peerName)
      problems.delete(peerName)
    }
  }

  async function keep(peerName: string, purpose: Purpose, signal: AbortSignal, bell: Bell): Promise<void> {
    let failures = 0
    let searches = 0
    let openedAt: number | undefined
    while (!signal.aborted) {
      const heard = bell.next()
      const peer = roster.get(peerName)
      const state = stateOf(peerName, purpose)
      if (peer === undefined || state === 'enough') {
        searches = 0
        await Promise.race([heard, sleep(clock, untilRenewal(peerName, purpose), signal)])
        continue
      }
      if (state === 'none' && openedAt !== undefined) {
        // Whoever takes connections only to end them is not to be dialled without pause.
        failures = clock.monotonic() - openedAt < stableMilliseconds ? failures + 1 : 0
        openedAt = undefined
        if (failures > 1) await sleep(clock, pauseAfter(failures), signal)
        continue
      }
      try {
        const opened = peer.mode === 'Open' ? await open(peer, purpose, signal) : await refresh(peer, purpose, signal)
        if (opened !== undefined) {
          openedAt = clock.monotonic()
          connected(opened)
          // Which of several replicas answers is not ours to choose; the others may be a while in coming.
          if (stateOf(peerName, purpose) !== 'some') continue
        }
        searches += 1
        await sleep(clock, pauseAfter(searches), signal)
      } catch (error) {
        if (signal.aborted) return
        failures += 1
        fail(peer, error)
        await tryBundles(peer, purpose, signal)
        await sleep(clock, pauseAfter(failures), signal)
      }
    }
  }

  function connected(opened: LinkConnection): void {
    const { peerName } = opened.principal
    problems.delete(peerName)
    metrics.dialled(peerName, 'connected')
    deps.onProblem(peerName)
    retireOlder(opened)
  }

  /** Full jitter: owners that lost the same peer must not come back in step. */
  function pauseAfter(failures: number): number {
    const most = Math.min(longestPauseMilliseconds, firstPauseMilliseconds * 2 ** Math.min(failures, 16))
    return Math.max(100, random() * most)
  }

  function live(peerName: string, purpose: Purpose): LinkConnection[] {
    return peerings
      .of(peerName)
      .filter((each) => each.direction === 'Outbound' && each.purpose === purpose && !each.retiring())
  }

  function stateOf(peerName: string, purpose: Purpose): 'none' | 'some' | 'renew' | 'enough' {
    const connections = live(peerName, purpose)
    if (connections.length === 0) return 'none'
    if (connections.some(({ renewAt }) => clock.now() >= renewAt())) return 'renew'
    const replicas = new Set(connections.map((each) => each.greeting()?.replica))
    const count = Math.max(...connections.map((each) => each.greeting()?.replicas ?? 1))
    return replicas.size < count ? 'some' : 'enough'
  }

  function untilRenewal(peerName: string, purpose: Purpose): number {
    const next = Math.min(...live(peerName, purpose).map(({ renewAt }) => renewAt() - clock.now()))
    return Math.min(1000, Math.max(10, next))
  }

  async function open(peer: LinkPeer, purpose: Purpose, signal: AbortSignal): Promise<LinkConnection> {
    const own = certificates.of(peer.identityName)
    if (own === undefined) throw new HansaError('NoCertificate', `Identity ${peer.identityName} has none yet`)
    const { socket, certificate } = await dial(peer, own, alpn[purpose], { now: () => clock.now(), signal })
    const now = roster.get(peer.name)
    if (!wanted(now) || now.mode !== 'Open') {
      socket.destroy()
      throw new HansaError('PeerGone', `${peer.name} is not a peer any more`)
    }
    const connection = peerings.admit(socket, now, {
      ...{ direction: 'Outbound', purpose, certificate, ownEnd: own.notAfter },
    })
    if (connection === undefined) throw new HansaError('Refused', `the connection to ${peer.name} is not allowed now`)
    await greeted(connection, signal)
    return connection
  }

  async function greeted(connection: LinkConnection, signal: AbortSignal): Promise<void> {
    const { peerName } = connection.principal
    const waiting = new AbortController()
    const done = () => connection.greeting() !== undefined
    await new Promise<void>((resolve) => {
      const stop = peerings.subscribe((name) => {
        if (name === peerName && done()) finish()
      })
      const finish = () => {
        stop()
        waiting.abort()
        resolve()
      }
      void connection.closed.then(finish)
      void sleep(clock, greetingMilliseconds, AbortSignal.any([waiting.signal, signal])).then(finish)
      if (done()) finish()
    })
    if (done()) return
    connection.cut()
    throw new HansaError('NoGreeting', `the link of ${peerName} closed the connection, or says nothing`)
  }

  /** Connections with an older certificate of ours are replaced, not all at the same moment. */
  function renew(identityName: string): void {
    const now = clock.now()
    for (const [peerName, { wake }] of running) {
      const peer = roster.get(peerName)
      const end = peer === undefined ? undefined : certificates.of(peer.identityName)?.notAfter
      if (peer?.identityName === identityName && end !== undefined) {
        const spread = Math.min(renewalSpreadMilliseconds, (end - now) / 20)
        for (const connection of peerings.of(peerName)) {
          if (connection.direction === 'Outbound') connection.renewBy(now + random() * spread)
        }
      }
      wake()
    }
  }

  /** The new connection takes the place of older ones to the same replica. */
  function retireOlder(opened: LinkConnection): void {
    const { principal, purpose } = opened
    for (const each of live(principal.peerName, purpose)) {
      if (each === opened) continue
      const same = each.greeting()?.replica === opened.greeting()?.replica
      const gone = each.greeting()?.version === 0
      if (same || gone) each.retire()
    }
  }

  async function refresh(peer: LinkPeer, purpose: Purpose, signal: AbortSignal): Promise<undefined> {
    if (purpose === 'control') await bundles.fetch(peer, signal)
    return undefined
  }

  /** Perhaps the two sides only know too old bundles of each other. */
  async function tryBundles(peer: LinkPeer, purpose: Purpose, signal: AbortSignal): Promise<void> {
    const now = roster.get(peer.name)
    if (purpose !== 'control' || now?.mode !== 'Open') return
    await bundles.fetch(now, signal).catch((error: unknown) => {
      log.debug({ peer: peer.name, error: messageOf(error) }, 'no bundle either')
    })
  }

  function fail(peer: LinkPeer, error: unknown): void {
    const reason = error instanceof HansaError ? error.reason : 'DialFailed'
    const message = messageOf(error)
    metrics.dialled(peer.name, 'failed')
    const before = problems.get(peer.name)
    problems.set(peer.name, { reason, message })
    if (before?.reason === reason) return
    log.warn({ peer: peer.name, reason, error: message }, 'cannot connect')
    deps.onProblem(peer.name)
  }

  const unsubscribe = [
    roster.subscribe(follow),
    peerings.subscribe((peerName) => running.get(peerName)?.wake()),
    certificates.onRenewed(renew),
  ]
  for (const { name } of roster.list()) follow(name)
  return {
    problemOf: (peerName) => problems.get(peerName),
    close: async () => {
      stopping.abort()
      for (const stop of unsubscribe) stop()
      const all = [...running.values()]
      for (const { stop, wake } of all) {
        stop.abort()
        wake()
      }
      await Promise.all(all.map(({ ended }) => ended))
      running.clear()
    },
  }
}

type Bell = { next(): Promise<void>; ring: () => void }

function createBell(): Bell {
  let waiting = Promise.withResolvers<void>()
  return {
    next: () => waiting.promise,
    ring: () => {
      waiting.resolve()
      waiting = Promise.withResolvers<void>()
    },
  }
}
