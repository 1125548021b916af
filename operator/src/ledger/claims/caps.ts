/** What of a grant is not agreed: not claimed yet, claimed and not answered, or disputed. */
export type Unagreed = { receipts: number; gpuSeconds: number }
export type Caps = { maxUnagreedReceipts: number; maxUnagreedGPUSeconds: number }

/** Whether the executor goes on only when more is agreed. GPU seconds count by themselves: an idle lease costs too. */
export function isBeyond(unagreed: Unagreed, caps: Caps): boolean {
  return unagreed.receipts > caps.maxUnagreedReceipts || unagreed.gpuSeconds > caps.maxUnagreedGPUSeconds
}
