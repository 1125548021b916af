import { hash } from 'node:crypto'
import { z } from 'zod'
import { KeyUsage } from './key-usage.ts'

/** What a gateway knows of one AccessKey; this is also what is kept on disk. */
export const keySpecSchema = z.object({
  namespace: z.string().max(63),
  name: z.string().max(253),
  services: z.array(z.string().max(253)).max(64),
  secrets: z.array(z.object({ sha256: z.string().length(64), notAfterMilliseconds: z.number().optional() })).max(4),
  requestsPerMinute: z.number().positive().optional(),
  inFlight: z.number().positive().optional(),
})
export type KeySpec = z.infer<typeof keySpecSchema>

/** One AccessKey as it counts now. */
export type KeyEntry = {
  readonly namespace: string
  readonly name: string
  readonly services: ReadonlySet<string>
  readonly usage: KeyUsage
}

const keyPattern = /^hansa_([0-9a-z]{16})_[A-Za-z0-9_-]{43}$/

/** The public id in the text of a key; undefined when it is no key. */
export function keyId(text: string): string | undefined {
  return keyPattern.exec(text)?.[1]
}

type Accepted = { entry: KeyEntry; notAfterMilliseconds: number }

/**
 * The AccessKeys of the cluster by the hash of their secrets. Several may hold the same hash, since whoever reads one may copy it:
 * each then opens the services of its own namespace only, and none takes another's place.
 */
export class KeyTable {
  #byHash = new Map<string, Accepted[]>()
  #usages = new Map<string, KeyUsage>()
  #known = false

  /** False until the first list is in. */
  get isKnown(): boolean {
    return this.#known
  }

  replace(specs: readonly KeySpec[]): void {
    const usages = new Map<string, KeyUsage>()
    const byHash = new Map<string, Accepted[]>()
    for (const spec of specs) {
      const name = `${spec.namespace}/${spec.name}`
      const usage = this.#usages.get(name) ?? new KeyUsage()
      usage.limits = { requestsPerMinute: spec.requestsPerMinute, inFlight: spec.inFlight }
      usages.set(name, usage)
      const entry: KeyEntry = {
        namespace: spec.namespace,
        name: spec.name,
        services: new Set(spec.services),
        usage,
      }
      for (const { sha256, notAfterMilliseconds = Number.POSITIVE_INFINITY } of spec.secrets) {
        const accepted = byHash.get(sha256) ?? []
        accepted.push({ entry, notAfterMilliseconds })
        byHash.set(sha256, accepted)
      }
    }
    this.#byHash = byHash
    this.#usages = usages
    this.#known = true
  }

  /** The AccessKeys that accept this text now. Looking a hash up leaks nothing about others: nobody can aim at a hash. */
  find(text: string, nowMilliseconds: number): KeyEntry[] {
    const accepted = this.#byHash.get(hash('sha256', text, 'hex')) ?? []
    return accepted.flatMap(({ entry, notAfterMilliseconds }) =>
      notAfterMilliseconds > nowMilliseconds ? [entry] : [],
    )
  }
}
