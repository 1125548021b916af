/** What a condition's reason tells its reader: the status that it goes with, what happened, and what to do about it. */
export type ReasonText = {
  readonly status: 'True' | 'False' | 'Unknown'
  readonly meaning: string
  readonly remedy: string
}

/** Reasons of one condition, in the order of the reference page. */
export type ReasonCatalogue = Readonly<Record<string, ReasonText>>

/** Remedy of reasons that need none. */
export const nothingToDo = 'Nothing.'
