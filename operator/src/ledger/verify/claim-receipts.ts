import { parseCanonicalJson } from '../../federation/canonical-json.ts'
import { RootBuilder } from '../log/root-builder.ts'
import type { Claim } from '../message-types.ts'
import { leafHash, receiptSchema } from '../receipt.ts'

const counted = ['inputTokens', 'outputTokens', 'requestBytes', 'responseBytes', 'busyGPUMilliseconds'] as const

/** Checks the receipts of one claim as they come. `ids` and `leaves` are those of the grant so far. */
export class ClaimReceipts {
  pruned = 0
  readonly #claim: Claim
  readonly #seen: { ids: Set<string>; leaves: Set<string> }
  readonly #builder = new RootBuilder()
  readonly #sums = { inputTokens: 0, outputTokens: 0, requestBytes: 0, responseBytes: 0, busyGPUMilliseconds: 0 }
  #last = ''

  constructor(claim: Claim, seen: { ids: Set<string>; leaves: Set<string> }) {
    this.#claim = claim
    this.#seen = seen
  }

  receipt(body: string): string | undefined {
    const bytes = Buffer.from(body)
    const { data: receipt } = receiptSchema.safeParse(parseCanonicalJson(bytes)?.value)
    const order = this.leaf(leafHash(bytes), 'kept')
    if (receipt === undefined) return 'a receipt has not the form of one'
    if (receipt.requestId !== this.#claim.requestId || receipt.epoch !== this.#claim.epoch) {
      return `receipt ${receipt.id} is of another grant than its claim`
    }
    const [said, claimed] = [receipt.price, this.#claim.price]
    if (said?.currency !== claimed?.currency || said?.microsPerGPUHour !== claimed?.microsPerGPUHour) {
      return `receipt ${receipt.id} has another price than its claim`
    }
    if (this.#seen.ids.has(receipt.id)) return `receipt ${receipt.id} is counted twice: a replay`
    this.#seen.ids.add(receipt.id)
    for (const name of counted) this.#sums[name] += receipt[name]
    return order
  }

  leaf(hash: string, state: 'kept' | 'pruned' = 'pruned'): string | undefined {
    if (state === 'pruned') this.pruned += 1
    this.#builder.add(hash)
    const isInOrder = hash > this.#last
    this.#last = hash
    if (this.#seen.leaves.has(hash)) return `the receipt with hash ${hash} is counted twice: a replay`
    this.#seen.leaves.add(hash)
    return isInOrder ? undefined : 'the receipts of the claim are not in the order of their hashes'
  }

  /** What is wrong with the claim, now that all its receipts were seen. */
  problems(): string[] {
    const { number, count, root, units, price, micros } = this.#claim
    const wrong: string[] = []
    if (this.#builder.size !== count || units.requests !== count) {
      wrong.push(`claim ${number} says ${count} receipts and ${units.requests} requests, and has ${this.#builder.size}`)
    }
    if (this.#builder.root() !== root) wrong.push(`the root of claim ${number} is not that of its receipts`)
    for (const name of this.pruned > 0 ? [] : counted) {
      if (units[name] !== this.#sums[name]) {
        wrong.push(`claim ${number} says ${units[name]} ${name}, and its receipts say ${this.#sums[name]}`)
      }
    }
    const cost = price === undefined ? 0n : (BigInt(units.reservedGPUSeconds) * BigInt(price.microsPerGPUHour)) / 3600n
    if (BigInt(micros) !== cost) {
      wrong.push(`claim ${number} costs ${micros} micros, and its GPU seconds at its price cost ${cost}`)
    }
    return wrong
  }
}
