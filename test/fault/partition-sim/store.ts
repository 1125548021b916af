import type { Kinds } from './objects.ts'

export class Conflict extends Error {}

type Entry = { readonly version: number; readonly value: unknown }
type State = ReadonlyMap<string, Entry>
type Saved = { readonly atMs: number; readonly state: State }

/** Objects at one moment. */
export class View {
  readonly #state: State
  constructor(state: State) {
    this.#state = state
  }

  get<K extends keyof Kinds>(kind: K, name: string): { version: number; value: Kinds[K] } | undefined {
    // Only `Store.write` makes entries, and its types bind the kind in the key to the value.
    return this.#state.get(`${kind}/${name}`) as { version: number; value: Kinds[K] } | undefined
  }

  list<K extends keyof Kinds>(kind: K): { name: string; version: number; value: Kinds[K] }[] {
    const found = []
    for (const [key, entry] of this.#state) {
      if (key.startsWith(`${kind}/`)) {
        found.push({ name: key.slice(kind.length + 1), version: entry.version, value: entry.value as Kinds[K] })
      }
    }
    return found
  }
}

/** An owner's API server and etcd: versions, optimistic locking, stale reads, snapshots. */
export class Store {
  #state: State = new Map()
  #version = 0
  #history: Saved[] = []
  readonly #changed: () => void
  readonly #nowMs: () => number

  constructor(nowMs: () => number, changed: () => void) {
    this.#nowMs = nowMs
    this.#changed = changed
  }

  /** What a cache shows that is `lagMs` behind. */
  view(lagMs = 0): View {
    return new View(lagMs === 0 ? this.#state : this.#stateAt(this.#nowMs() - lagMs))
  }

  /** Writes if the version is still the one that was read; 0 creates, `undefined` as value deletes. */
  write<K extends keyof Kinds>(kind: K, name: string, version: number, value: Kinds[K] | undefined): void {
    const key = `${kind}/${name}`
    if ((this.#state.get(key)?.version ?? 0) !== version) throw new Conflict(key)
    const state = new Map(this.#state)
    if (value === undefined) state.delete(key)
    else state.set(key, { version: ++this.#version, value })
    this.#save(state)
  }

  /** A patch of fields that only the caller owns. */
  patch<K extends keyof Kinds>(kind: K, name: string, change: (value: Kinds[K]) => Kinds[K]): boolean {
    const found = this.view().get(kind, name)
    if (found === undefined) return false
    const value = change(found.value)
    if (value !== found.value) this.write(kind, name, found.version, value)
    return true
  }

  /** Puts back the state of `backMs` ago; returns true time of that state. */
  restore(backMs: number): number {
    const atMs = Math.max(0, this.#nowMs() - backMs)
    this.#save(this.#stateAt(atMs))
    return atMs
  }

  #stateAt(atMs: number): State {
    let found: State = new Map()
    for (let i = this.#history.length - 1; i >= 0; i--) {
      const saved = this.#history[i]
      if (saved !== undefined && saved.atMs <= atMs) {
        found = saved.state
        break
      }
    }
    return found
  }

  #save(state: State): void {
    this.#state = state
    this.#history.push({ atMs: this.#nowMs(), state })
    this.#changed()
  }
}
