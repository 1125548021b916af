import type { Clock } from './clock.ts'
import type { PodsObject } from './objects.ts'
import type { Stage } from './owner.ts'
import type { Store, View } from './store.ts'

export type Result = {
  readonly requestId: string
  readonly attempt: number
  readonly epoch: number
  readonly round: number
}

type Running = {
  readonly uid: string
  readonly pods: PodsObject
  readonly epoch: number
  renewals: number
  deadlineMs: number
  expiresMs: number
  round: number
  resends: number
}

/** Kubelet and workers of an executor: they follow the API server with a lag and enforce the lease themselves. */
export class Workers {
  readonly #stage: Stage
  readonly #owner: string
  readonly #clock: Clock
  readonly #store: () => Store
  readonly #lagMs: number
  readonly #deliver: (from: string, result: Result, taken: (countedRound: number) => void) => void
  readonly #running = new Map<string, Running>()
  readonly #objects = new Set<string>()
  /** Workers whose lease is over do not start again with the same file. */
  readonly #spent = new Map<string, number>()

  constructor(options: {
    stage: Stage
    owner: string
    clock: Clock
    store: () => Store
    lagMs: number
    deliver: (from: string, result: Result, taken: (countedRound: number) => void) => void
  }) {
    this.#stage = options.stage
    this.#owner = options.owner
    this.#clock = options.clock
    this.#store = options.store
    this.#lagMs = options.lagMs
    this.#deliver = options.deliver
  }

  /** Whether Pod objects exist: they stay until the kubelet has seen their deletion and stopped the worker. */
  isRunning(uid: string): boolean {
    return this.#objects.has(uid)
  }

  /** The API server changed: the kubelet sees it after a while. */
  changed(): void {
    for (const { name } of this.#store().view().list('pods')) this.#objects.add(name)
    this.#stage.world.after(this.#lagMs, () => this.#sync(this.#store().view(this.#lagMs)))
  }

  /** Pods that a restored API server does not know are killed before others start (an assumption of ADR 21). */
  restored(): void {
    for (const uid of [...this.#running.keys()]) {
      if (this.#store().view().get('pods', uid) === undefined) this.#stop(uid, 'is unknown to the restored API server')
    }
  }

  #sync(view: View): void {
    for (const uid of [...this.#running.keys()]) {
      if (view.get('pods', uid) === undefined) this.#stop(uid, 'is stopped')
    }
    for (const uid of this.#objects) {
      if (view.get('pods', uid) === undefined && this.#store().view().get('pods', uid) === undefined) {
        this.#objects.delete(uid)
      }
    }
    for (const { name, value } of view.list('pods')) {
      const running = this.#running.get(name)
      if (running === undefined) this.#start(name, value)
      else this.#see(running, value)
    }
  }

  #start(uid: string, pods: PodsObject): void {
    const { file, work } = pods
    if ((this.#spent.get(uid) ?? -1) >= file.renewals) return
    const running: Running = {
      uid,
      pods,
      epoch: file.epoch,
      renewals: -1,
      deadlineMs: 0,
      expiresMs: 0,
      round: 0,
      resends: 0,
    }
    this.#see(running, pods)
    if (this.#isOver(running)) return
    this.#running.set(uid, running)
    this.#stage.checks.workerStarts(this.#owner, uid, work, file.epoch)
    this.#enforce(running)
    this.#work(running)
  }

  #see(running: Running, { file }: PodsObject): void {
    if (file.renewals <= running.renewals) return
    running.renewals = file.renewals
    running.deadlineMs = this.#clock.read(this.#stage.world.nowMs).monotonicMs + file.ttlSeconds * 1_000
    running.expiresMs = Date.parse(file.expires)
  }

  #isOver(running: Running): boolean {
    const now = this.#clock.read(this.#stage.world.nowMs)
    return now.monotonicMs >= running.deadlineMs || now.wallMs >= running.expiresMs
  }

  #enforce(running: Running): void {
    if (!this.#stage.protocol.habits.workersEnforce) return
    this.#stage.world.after(100, () => {
      if (this.#running.get(running.uid) !== running) return
      if (this.#isOver(running)) {
        this.#stage.world.count('worker stopped itself')
        this.#spent.set(running.uid, running.renewals)
        this.#stop(running.uid, 'stops itself')
      } else this.#enforce(running)
    })
  }

  #work(running: Running): void {
    const { leaseSeconds, attempt } = running.pods.work
    this.#stage.world.after(this.#stage.world.between(0.05, 0.2) * leaseSeconds * 1_000, () => {
      if (this.#running.get(running.uid) !== running) return
      const { uid: requestId, epoch } = running
      this.#deliver(this.#owner, { requestId, attempt, epoch, round: running.round + 1 }, (counted) => {
        // The sink says where it is; after its restore that is earlier.
        running.round = counted
      })
      this.#work(running)
    })
  }

  #stop(uid: string, how: string): void {
    this.#running.delete(uid)
    this.#stage.checks.workerStops(this.#owner, uid, how)
  }
}
