/** Counts of one revision within a window, over all gateways. */
export type RevisionWindow = {
  requests: number
  failures: number
  /** As in the gateways' reports: see `latencyBoundsMs`. */
  latencyCounts: readonly number[]
  mirrored: number
  disagreed: number
}

/** What all gateways together saw of one service in the last seconds. */
export type ServiceWindow = {
  /** How much time the window really covers; less than asked for soon after a start. */
  seconds: number
  /** Mean of requests under way and held. */
  meanInFlight: number
  arrivals: number
  revisions: ReadonlyMap<string, RevisionWindow>
}

/** The sum of what the gateways report; the operator's only view of traffic. */
export type Demand = {
  /**
   * Whether every gateway that may have traffic has reported lately, and the whole last `seconds` are known. Otherwise
   * nothing may be concluded from a lack of requests.
   */
  isComplete(seconds: number): boolean
  /** Key `namespace/name`; undefined when no gateway has seen a request for it. */
  window(key: string, seconds: number): ServiceWindow | undefined
  /** Requests that are held or under way now. */
  now(key: string): { inFlight: number; held: number }
  /** How long no request came or was under way, as far as was reported; Infinity when none was ever seen. */
  quietSeconds(key: string): number
}
