import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { InferenceService } from '@hansa/operator/api/inference-service.ts'
import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import { parseCanonicalJson } from '@hansa/operator/federation/canonical-json.ts'
import { readEnvelope } from '@hansa/operator/federation/dsse.ts'
import type { Live } from '@hansa/operator/kube/resource.ts'
import type { Delivered, Role } from './line.ts'
import { requestOf, type Watcher } from './watch.ts'

export type Violation = { readonly check: string; readonly requestId: string; readonly message: string }

/** What the operator may be late by on a busy machine; the workers' own lease file is held to the time that was signed. */
const slackMilliseconds = 10_000
/** Wall clock of the very machine; only the order of two watches matters. */
const watchMilliseconds = 1_500
const drift = 1.01
/** What an operator may need after its start until it has seen everything; workers end by their lease file meanwhile. */
const startMilliseconds = 20_000

type Lease = { epoch: number; grantedMs: number; expiresMs: number; ttlMs: number }

/** Judges what the onlooker sees, by rules that must hold at every moment. */
export class Judge implements Watcher {
  readonly violations: Violation[] = []
  /** Peer and epoch: the request that got it. Kept over restores: that is the point. */
  readonly #epochs = new Map<string, string>()
  readonly #believed = new Map<string, number>()
  readonly #signed = new Map<string, number>()
  readonly #leases = new Map<string, Lease>()
  readonly #cancelled = new Set<string>()
  readonly #said = new Set<string>()
  /** How long work ran at most after the signed time was over, while the executor's operator was up. */
  latestMs = 0
  /** Ends of work at the executor, by what caused them. */
  readonly ends = { cancelled: 0, expired: 0 }

  fail(check: string, requestId: string, message: string): void {
    const key = `${check} ${requestId}`
    if (this.#said.has(key)) return
    this.#said.add(key)
    this.violations.push({ check, requestId, message })
  }

  remoteWork({ metadata, spec, status }: Live<RemoteWork>): void {
    if (spec.cancelled !== undefined) return
    const { lease, outbox } = status ?? {}
    if (outbox?.some(({ kind }) => kind === 'Cancel') === true) this.#cancelled.add(metadata.uid)
    if (lease === undefined) return
    const signedMs = Date.parse(lease.signedTime)
    this.#signed.set(metadata.uid, Math.max(this.#signed.get(metadata.uid) ?? 0, signedMs))
    const before = this.#believed.get(metadata.uid) ?? 0
    if (lease.epoch < before) {
      this.fail('older epoch believed', metadata.uid, `${metadata.name} went from epoch ${before} to ${lease.epoch}`)
    }
    this.#believed.set(metadata.uid, lease.epoch)
  }

  guestWork({ spec, status }: Live<GuestWork>): void {
    const { lease } = status ?? {}
    if (lease === undefined) return
    this.#epoch(spec.peerRef.name, lease.epoch, spec.requestId)
    this.#leases.set(spec.requestId, {
      epoch: lease.epoch,
      grantedMs: Date.parse(lease.grantedTime),
      expiresMs: Date.parse(lease.expiresTime),
      ttlMs: lease.ttlSeconds * 1_000,
    })
  }

  /** A message that went over the line of a peer, `peerName` as the executor calls it. */
  delivered({ kind, requestId, envelope }: Delivered, peerName: string): void {
    if (kind === 'Cancel') this.#cancelled.add(requestId)
    if (kind !== 'Answer') return
    const read = readEnvelope(envelope)
    const answer = read === undefined ? undefined : parseCanonicalJson(read.payload)?.value
    if (typeof answer !== 'object' || answer === null || !('lease' in answer)) return
    const { lease } = answer
    if (typeof lease !== 'object' || lease === null || !('epoch' in lease) || typeof lease.epoch !== 'number') return
    this.#epoch(peerName, lease.epoch, requestId)
  }

  #epoch(peerName: string, epoch: number, requestId: string): void {
    const key = `${peerName} ${epoch}`
    const other = this.#epochs.get(key)
    if (other !== undefined && other !== requestId) {
      this.fail('epoch given twice', requestId, `epoch ${epoch} of ${peerName} was given to ${other} before`)
    }
    this.#epochs.set(key, requestId)
  }

  service(previous: Live<InferenceService> | undefined, current: Live<InferenceService> | undefined): void {
    const ran = previous !== undefined && !previous.spec.suspend
    const runs = current !== undefined && !current.spec.suspend && current.metadata.uid === previous?.metadata.uid
    if (!ran || runs) return
    const requestId = requestOf(previous)
    if (this.#cancelled.has(requestId)) {
      this.ends.cancelled += 1
      return
    }
    const leftMs = (this.#leases.get(requestId)?.expiresMs ?? 0) - Date.now()
    if (leftMs <= 20) this.ends.expired += 1
    else this.fail('ended without cause', requestId, `${previous.metadata.name} was ended with ${leftMs} ms left`)
  }

  restored(role: Role): void {
    if (role === 'requester') this.#believed.clear()
    else this.#leases.clear()
  }

  /** To be asked often. `upSince`: since when the executor's operator runs. */
  look(services: readonly Live<InferenceService>[], upSince: number | undefined): void {
    const now = Date.now()
    for (const service of services) {
      const requestId = requestOf(service)
      const lease = this.#leases.get(requestId)
      if (service.spec.suspend || lease === undefined) continue
      const fromMs = Math.max(lease.grantedMs, this.#signed.get(requestId) ?? 0)
      if (lease.expiresMs > fromMs + lease.ttlMs + watchMilliseconds) {
        this.fail('longer than signed', requestId, `it may run ${lease.expiresMs - fromMs} ms after it was signed`)
      }
      // While the operator is down workers end by what the lease file says, which the check above is about.
      if (upSince === undefined) continue
      const overMs = now - Math.max(fromMs + lease.ttlMs * drift, upSince + startMilliseconds)
      this.latestMs = Math.max(this.latestMs, overMs)
      if (overMs > slackMilliseconds) {
        const seen = JSON.stringify({ ...lease, signedMs: this.#signed.get(requestId), upSince, now })
        this.fail(
          'runs too long',
          requestId,
          `${service.metadata.name} still runs ${overMs} ms after its time: ${seen}`,
        )
      }
    }
  }
}
