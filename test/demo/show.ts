import type { Installation } from '../cluster/hansa/installation.ts'
import { type DigitsClient, digitsClient, type Handwritten, heldOutDigits } from './ask.ts'
import { bar, picture } from './picture.ts'
import { bold, dim, green, red } from './progress.ts'

/** Asks the service for one picture and prints picture, answer and certainty. */
export async function showOne(client: DigitsClient, url: string, sample: Handwritten): Promise<void> {
  const answer = await client.ask(url, [sample])
  if (answer.status !== 200) throw new Error(`the service answered ${answer.status}: ${answer.error}`)
  const [digit] = answer.digits
  const [shares = []] = answer.probabilities
  const best = shares
    .map((share, i) => ({ share, i }))
    .sort((a, b) => b.share - a.share)
    .slice(0, 3)
  const right = digit === sample.digit ? green('right') : red(`wrong, it is a ${sample.digit}`)
  const beside = [
    '',
    `the model reads ${bold(String(digit))}  (${right}, ${answer.milliseconds.toFixed(1)} ms)`,
    '',
    ...best.map(({ share, i }) => `${i} ${bar(share)} ${(100 * share).toFixed(1).padStart(5)} %`),
  ]
  console.log('')
  for (const [i, line] of picture(sample.image).entries()) console.log(`    ${line}   ${beside[i] ?? ''}`)
  console.log('')
}

/** Three pictures that no version of the model has seen. */
export async function showSome(client: DigitsClient, url: string): Promise<void> {
  const samples = await heldOutDigits()
  for (const index of [3, 58, 191]) {
    const sample = samples[index]
    if (sample !== undefined) await showOne(client, url, sample)
  }
}

export async function readerClient(installation: Installation): Promise<DigitsClient> {
  const [caPem, token] = await Promise.all([installation.trustPem(), installation.token('reader', 'digits')])
  return digitsClient({ caPem, token })
}

/** Commands that a person can paste into another terminal while the demo runs; `envFile` is written by writeEnvironment. */
export function showCommands(url: string, envFile: string): void {
  console.log(bold('Try it from another terminal, in this folder:'))
  console.log(`
  source ${envFile}
  kubectl get inferenceservices.hansa.dev,models.hansa.dev -n digits
  TOKEN=$(kubectl create token reader -n digits --audience hansa)
  curl --cacert "$HANSA_CA" -H "Authorization: Bearer $TOKEN" ${url}/v2/models/digits
  node test/demo/picture-request.ts 58 | curl --cacert "$HANSA_CA" -H "Authorization: Bearer $TOKEN" ${url}/v2/models/digits/infer -d @-
  kubectl apply -f examples/digits-v2.yaml
  kubectl patch inferenceservices.hansa.dev digits -n digits --type merge -p '{"spec":{"modelRef":{"name":"digits-v2"}}}'
  kubectl apply -f examples/digits-zero.yaml # no worker after ten quiet seconds; the next request wakes one
  kubectl hansa key create me --service digits -n digits
  kubectl apply -f examples/hostile.yaml     # refused: kubectl describe models.hansa.dev hostile -n digits
`)
}

/** Commands by which the admins of the demo's owners lend and ask; each has an environment of its own. */
export function showFederation([stMary, university, clinic]: readonly string[]): void {
  console.log(bold('Three owners, each with an admin: take a terminal for each.'))
  console.log(`
  source ${university}   # the university lends
  kubectl apply -f test/demo/lending.yaml
  source ${stMary}      # St. Mary asks, and is refused with all reasons
  kubectl apply -f test/demo/asking.yaml
  kubectl get remoteworks.hansa.dev -n digits
  kubectl hansa status digits-shared -n digits
  source ${university}   # edit one line; it then grants
  kubectl patch sharepolicies.hansa.dev st-mary --type merge -p '{"spec":{"quota":{"cpu":"4","memory":"8Gi"}}}'
  kubectl hansa guest list
  kubectl hansa peer freeze st-mary   # and unfreeze
  kubectl apply -f test/demo/spread/university.yaml   # one service at all three: each admin writes a part
  source ${clinic}
  kubectl apply -f test/demo/spread/clinic.yaml
  source ${stMary}
  kubectl apply -f test/demo/spread/st-mary.yaml      # answers say whose worker it was: curl -i, x-hansa-owner
  kubectl hansa explain digits-spread -n digits
  kubectl hansa layers digits-spread -n digits
  kubectl hansa cost -n digits
  LEDGER=https://$(kubectl get pod hansa-ledger-0 -n hansa-system -o jsonpath='{.status.podIP}'):8450
  kubectl hansa ledger statement --month $(date -u +%Y-%m) --url $LEDGER
  kubectl hansa ledger export --peer university --month $(date -u +%Y-%m) --url $LEDGER -o /tmp/university.jsonl
  kubectl hansa ledger verify /tmp/university.jsonl   # then change one byte of it
  source ${clinic}      # nobody can dial it, yet it is joined: it dials
  kubectl hansa peer list
`)
  console.log(dim('Ctrl-C stops and removes everything.'))
}
