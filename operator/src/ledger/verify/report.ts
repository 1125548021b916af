/** One thing that is wrong with an export, in a sentence. */
export type Finding = { file: string; line: number; problem: string }

export type VerifiedSum = {
  file: string
  /** Who did the work for whom. */
  executor: string
  requester: string
  currency: string
  claims: number
  agreed: number
  disputed: number
  requests: number
  reservedGPUSeconds: number
  micros: number
  agreedMicros: number
}

export type VerifyReport = {
  findings: Finding[]
  /** More were found than are kept. */
  hasMore: boolean
  /** Whose keys all rests on: compare these with what the owners say. */
  trustDomains: string[]
  /** Newest checkpoint of each file. */
  checkpoints: { log: string; size: number; root: string; cosignedBy: string[] }[]
  sums: VerifiedSum[]
  /** Receipts whose bytes were pruned: their hashes were checked, the sums of their claims could not be. */
  prunedReceipts: number
  /** True things that limit what was proven. */
  notes: string[]
}

const most = 100

export class Findings {
  readonly kept: Finding[] = []
  hasMore = false

  add(finding: Finding): void {
    if (this.kept.length < most) this.kept.push(finding)
    else this.hasMore = true
  }
}
