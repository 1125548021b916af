/** First and next month of `YYYY-MM` in UTC, as milliseconds since 1970; undefined for any other text. */
export function monthRange(month: string): { from: number; until: number } | undefined {
  const [, year, number] = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(month) ?? []
  if (year === undefined || number === undefined) return undefined
  return { from: Date.UTC(Number(year), Number(number) - 1), until: Date.UTC(Number(year), Number(number)) }
}
