export type Value = string | number | null
export type Row = Readonly<Record<string, Value>>

/** Runs statements of one transaction; `?` stands for the next value. Integers come as numbers. */
export type Sql = (text: string, ...values: readonly Value[]) => Promise<Row[]>

/** A database with one writer, which is us. Transactions run one after the other. */
export type Database = {
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>
  /** After something was erased: what the database can do so that its files do not hold it any longer. */
  scrub(): Promise<void>
  /** Rejects once nothing can be written any more. */
  readonly lost: Promise<never>
  close(): Promise<void>
}

/** Lets one piece of work run at a time, in the order in which they came. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => undefined) // whoever asked hears of it
    return turn
  }
}

/** The text in a column. */
export function text(row: Row | undefined, column: string): string {
  const value = row?.[column]
  if (typeof value !== 'string') throw new TypeError(`column ${column} holds no text`)
  return value
}

export function number(row: Row | undefined, column: string): number {
  const value = row?.[column]
  if (!Number.isSafeInteger(value)) throw new TypeError(`column ${column} holds no whole number`)
  return Number(value)
}

export const textOrNone = (row: Row | undefined, column: string) =>
  row?.[column] === null ? undefined : text(row, column)
