import { type DigitsClient, heldOutDigits } from './ask.ts'

/** Share of held-out pictures read right, in batches of 32; throws below 0.9, which no chance reaches. */
export async function accuracy(client: DigitsClient, url: string): Promise<string> {
  const samples = await heldOutDigits()
  let right = 0
  for (let i = 0; i < samples.length; i += 32) {
    const batch = samples.slice(i, i + 32)
    const answer = await client.ask(url, batch)
    if (answer.status !== 200) throw new Error(`answered ${answer.status}: ${answer.error}`)
    right += batch.filter(({ digit }, j) => answer.digits[j] === digit).length
  }
  const share = right / samples.length
  if (share < 0.9) throw new Error(`only ${right} of ${samples.length} pictures right`)
  return `${(100 * share).toFixed(1)} % (${right}/${samples.length})`
}
