import type { RequestFacts } from './request-facts.ts'

/** One way for a request to go wrong. Events are counted from 1 for each watch, bookmarks left out. */
export type Fault =
  /** The connection breaks and the API server never hears of the request. */
  | { readonly type: 'Cut' }
  /** The API server never hears of the request; the client gets this answer. */
  | {
      readonly type: 'Respond'
      readonly status: number
      /** Default: the reason that belongs to the status. */
      readonly reason?: string
      readonly message?: string
      readonly retryAfterSeconds?: number
    }
  /** The API server does what it was asked to; the client's connection breaks instead of an answer. */
  | { readonly type: 'LoseReply' }
  /** The request reaches the API server late, even if the client has given up; of a watch, every event comes late. */
  | { readonly type: 'Delay'; readonly milliseconds: number }
  /** Half-open: the connection stays up and no byte comes, of a watch after so many events. Nothing but watches is forwarded. */
  | { readonly type: 'Silence'; readonly afterEvents?: number }
  /** The watch's connection breaks after so many events. */
  | { readonly type: 'DropWatch'; readonly afterEvents?: number }
  /** The n-th event of the watch is lost, and those before and after it are not. */
  | { readonly type: 'SwallowEvent'; readonly nth: number }
  /** After so many events the watch ends with an ERROR event of code 410. */
  | { readonly type: 'ExpireWatch'; readonly afterEvents?: number }
  /**
   * Lists are answered as they last were before this fault was injected. A list that was never asked for before passes,
   * and is the old one from then on.
   */
  | { readonly type: 'StaleList' }
  /**
   * Runs something (say, kills the client) before the request is forwarded, or after the API server has answered and before
   * the client hears of it. Then the request or answer passes on, or the connection is cut instead.
   */
  | {
      readonly type: 'Call'
      readonly at: 'before' | 'after'
      readonly run: (facts: RequestFacts) => void | Promise<void>
      readonly outcome: 'pass' | 'cut'
    }

/** Whether a fault can happen to such a request at all. */
export function canHappenTo(fault: Fault, facts: RequestFacts): boolean {
  switch (fault.type) {
    case 'DropWatch':
    case 'SwallowEvent':
    case 'ExpireWatch':
      return facts.isWatch
    case 'StaleList':
      return facts.isList
    case 'LoseReply':
      return !facts.isWatch
    case 'Call':
      return fault.at === 'before' || !facts.isWatch
    case 'Cut':
    case 'Respond':
    case 'Delay':
    case 'Silence':
      return true
    default:
      return fault satisfies never
  }
}
