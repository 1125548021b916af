import type { RemoteWork } from '../api/remote-work.ts'
import { revisionLabel } from '../inferenceservice/names.ts'
import type { Placement } from './plan.ts'

/** Work that stays the same under another revision, such as with a new image of our own workers, is that revision's when the old one is gone. */
export function relabel(work: RemoteWork, revision: string, told: ReadonlySet<string>, placement: Placement): void {
  const label = work.metadata.labels?.[revisionLabel]
  if (label === revision || (label !== undefined && told.has(label))) return
  placement.relabel.push({ work, revision })
}
