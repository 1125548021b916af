import type { ExecutorLease } from '@hansa/operator/grant/executor.ts'
import type { RequestedWork } from '@hansa/operator/grant/requester.ts'
import type { Clock } from './clock.ts'
import type { Result } from './workers.ts'
import { Violation, type World } from './world.ts'

/** The most that two clocks of a run differ in rate from true time. */
const slack = 0.995

type Truth = { sentMs: number; ttlMs: number; recovered: { atMs: number; expires: number } | undefined }

/** What must hold in every run, judged by true time and by what really happened, not by what the objects say. */
export class Checks {
  readonly #world: World
  readonly #workload: RequestedWork['workload']
  /** Executor and epoch: the request that it was given to. */
  readonly #epochs = new Map<string, string>()
  /** True time at which a nonce was drawn. */
  readonly #asks = new Map<string, number>()
  /** Executor and request: from when the executor's time counts in truth. */
  readonly #leases = new Map<string, Truth>()
  /** Request: when the requester last let a renewal go. */
  readonly #signed = new Map<string, number>()
  readonly #endedSaid = new Set<string>()
  /** Executor and request that may run Train now. */
  readonly #permitted = new Set<string>()
  readonly #running = new Map<string, number>()
  quiet = false

  constructor(world: World, workload: RequestedWork['workload']) {
    this.#world = world
    this.#workload = workload
  }

  fail(check: string, message: string): never {
    this.#world.note(() => `BROKEN ${check}: ${message}`)
    throw new Violation(check, message)
  }

  asked(nonce: string | undefined): void {
    if (nonce !== undefined) this.#asks.set(nonce, this.#world.nowMs)
  }

  granted(executor: string, uid: string, epoch: number, ttlSeconds: number, sentMs: number): void {
    this.#world.count('lease granted')
    this.#world.note(() => `${executor} grants ${uid} epoch ${epoch}`)
    const key = `${executor}/${epoch}`
    const other = this.#epochs.get(key)
    if (other !== undefined) this.fail('epoch granted twice', `${executor} gave epoch ${epoch} to ${other} and ${uid}`)
    this.#epochs.set(key, uid)
    this.#leases.set(`${executor}/${uid}`, { sentMs, ttlMs: ttlSeconds * 1_000, recovered: undefined })
  }

  recovered(executor: string, uid: string, lease: ExecutorLease): void {
    this.#world.count('lease recovered after a restart')
    const truth = this.#leases.get(`${executor}/${uid}`)
    if (truth !== undefined) {
      truth.recovered = { atMs: this.#world.nowMs, expires: Date.parse(lease.expiresTime) }
    }
  }

  renewed(executor: string, uid: string, nonce: string | undefined): void {
    this.#world.count('lease renewed')
    const truth = this.#leases.get(`${executor}/${uid}`)
    const sentMs = nonce === undefined ? undefined : this.#asks.get(nonce)
    if (truth === undefined || sentMs === undefined) return
    truth.sentMs = Math.max(truth.sentMs, sentMs)
    truth.recovered = undefined
    this.#world.note(() => `${executor} takes a renewal of ${uid}, asked at ${(sentMs / 1_000).toFixed(3)}`)
  }

  signed(uid: string): void {
    this.#world.note(() => `R signs for ${uid}`)
    this.#signed.set(uid, this.#world.nowMs)
  }

  answerTaken(uid: string, epoch: number | undefined, before: number | undefined, decision: string): void {
    this.#world.note(() => `R takes ${decision} of ${uid}${epoch === undefined ? '' : `, epoch ${epoch}`}`)
    if (epoch !== undefined && before !== undefined && epoch < before) {
      this.fail('older epoch', `R went from epoch ${before} of ${uid} back to ${epoch}`)
    }
    if (decision === 'Ended' || decision === 'Refused') this.#endedSaid.add(uid)
  }

  /** Train: what an executor believes that it may run. Two at once are one too many, even if workers would stop themselves. */
  permits(executor: string, uid: string, may: boolean): void {
    const key = `${executor}/${uid}`
    if (!may) {
      this.#permitted.delete(key)
      return
    }
    this.#permitted.add(key)
    for (const other of this.#permitted) {
      if (other !== key && this.#lasts(other)) this.fail('two leases of Train', `${other} and ${key} may run at once`)
    }
  }

  /** A permission that nobody looked at since may be over by now; the executor's own clock may be slow by the slack. */
  #lasts(key: string): boolean {
    const [executor = '', uid = ''] = key.split('/')
    return this.#world.nowMs < (this.deadlines.get(executor)?.(uid) ?? 0)
  }

  /** Set by the simulation: until when (true time) an executor's operator takes the lease of a request for running. */
  readonly deadlines = new Map<string, (uid: string) => number>()

  placed(executor: string, uid: string, attempt: number, workload: string): void {
    this.#world.count(attempt === 1 ? 'work placed' : 'work placed again')
    this.#world.note(() => `R places ${uid} (attempt ${attempt}) at ${executor}`)
    if (workload !== 'Train') return
    for (const other of this.#permitted) {
      if (!other.endsWith(`/${uid}`) && this.#lasts(other)) {
        this.fail('placed too early', `R places ${uid} while ${other} may still run`)
      }
    }
  }

  endedByExecutor(owner: { readonly name: string; readonly clock: Clock }, uid: string, reason: string): void {
    this.#world.count(`lease ended: ${reason}`)
    this.#world.note(() => `${owner.name} ends ${uid}: ${reason}`)
    if (reason !== 'LeaseExpired') return
    const truth = this.#leases.get(`${owner.name}/${uid}`)
    if (truth === undefined) return
    const { nowMs } = this.#world
    if (nowMs >= truth.sentMs + truth.ttlMs * slack) {
      if (this.quiet) this.fail('lease lost while all is well', `${owner.name} ended ${uid}`)
      return
    }
    const { recovered } = truth
    const byWall = recovered !== undefined && owner.clock.read(nowMs).wallMs >= recovered.expires
    if (byWall || (recovered !== undefined && nowMs >= recovered.atMs + truth.ttlMs * slack)) return
    this.fail('ended without cause', `${owner.name} ended ${uid} ${nowMs - truth.sentMs} ms into its time`)
  }

  endedByRequester(uid: string, leaseSeconds: number, name: string): void {
    this.#world.note(() => `${name} takes the lease of ${uid} for over`)
    const signedMs = this.#signed.get(uid)
    if (signedMs === undefined || this.#endedSaid.has(uid)) return
    const sinceMs = this.#world.nowMs - signedMs
    // Whether the wait was long enough to place the work elsewhere is judged by what runs then.
    if (sinceMs < leaseSeconds * 1_000 * 0.95) {
      this.fail('ended without cause', `R took ${uid} for over ${sinceMs} ms after it signed`)
    }
    if (this.quiet) this.fail('lease lost while all is well', `R took ${uid} for over`)
  }

  workerStarts(executor: string, uid: string, work: RequestedWork, epoch: number): void {
    this.#world.note(() => `${executor} worker of ${uid} epoch ${epoch} starts`)
    if (this.#workload === 'Train') {
      for (const other of this.#running.keys()) {
        this.fail('training overlaps', `${executor}/${uid} (attempt ${work.attempt}) starts while ${other} runs`)
      }
    }
    this.#running.set(`${executor}/${uid}`, this.#world.nowMs)
  }

  workerStops(executor: string, uid: string, how: string): void {
    this.#world.note(() => `${executor} worker of ${uid} ${how}`)
    this.#running.delete(`${executor}/${uid}`)
  }

  get running(): readonly string[] {
    return [...this.#running.keys()]
  }

  /** A result was counted. `current` is what the requester's own store says was placed last. */
  accepted(
    result: Result,
    current: { uid: string | undefined; attempt: number; epoch: number },
    counted: readonly number[],
  ) {
    this.#world.count('result counted')
    if (result.requestId !== current.uid || result.attempt < current.attempt || result.epoch < current.epoch) {
      this.fail(
        'older result accepted',
        `${result.requestId} attempt ${result.attempt} epoch ${result.epoch}, though ${current.uid} ${current.attempt} ${current.epoch} is placed`,
      )
    }
    if (new Set(counted).size !== counted.length) this.fail('counted twice', `rounds ${counted.join(' ')}`)
  }
}
