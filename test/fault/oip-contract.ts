import { runContract } from '../contract/run-contract.ts'

const leastCases = 300

export const promise = {
  id: 'oip-contract',
  claim:
    "The Open Inference Protocol is kept to the letter over REST and gRPC: every call, datatype, form, refusal and extension of the specification's tables, at a worker and through the gateway.",
  aim: `${leastCases} cases or more, each at a worker and at a gateway; 0 answered wrongly, 0 skipped`,
}

/** Runs all cases of `test/contract/` by clients that know nothing of our code. */
export async function run(report: (line: string) => void): Promise<{ figures: string; holds: boolean }> {
  const { cases, byProtocol, ran, failures } = await runContract(report)
  for (const failure of failures) report(failure)
  const skipped = Object.values(ran).reduce((sum, count) => sum + cases - count, 0)
  const total = Object.values(ran).reduce((sum, count) => sum + count, 0)
  const figures = [
    `n=${cases} cases (${Object.entries(byProtocol)
      .map(([protocol, count]) => `${count} ${protocol}`)
      .join(', ')})`,
    `${total} runs (${Object.entries(ran)
      .map(([target, count]) => `${count} at the ${target}`)
      .join(', ')})`,
    `${failures.length} answered wrongly`,
    `${skipped} skipped`,
  ].join(', ')
  return { figures, holds: cases >= leastCases && failures.length === 0 && skipped === 0 }
}
