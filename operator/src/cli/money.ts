import type { LeasePrice } from '../api/owner-scalars.ts'

/** Millionths of a currency as people write them: two digits behind the point, more only where they are not 0. */
export function moneyText(micros: number, currency: string): string {
  const whole = Math.trunc(micros / 1_000_000)
  const digits = String(Math.abs(micros % 1_000_000)).padStart(6, '0')
  return `${whole}.${digits.slice(0, 2)}${digits.slice(2).replace(/0+$/, '')} ${currency}`
}

/** Price of a GPU for an hour. */
export function priceText(price: LeasePrice | undefined): string {
  return price === undefined || price.microsPerGPUHour === 0
    ? 'free'
    : moneyText(price.microsPerGPUHour, price.currency)
}
