import type { GuestWork } from '../api/guest-work.ts'
import { readRequest } from '../guestwork/open-request.ts'
import { gpusOf, workerAmounts } from '../guestwork/resources.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { guestWorks, inferenceServices, remoteWorks } from '../kube/hansa-resources.ts'
import { CliError } from './cli-error.ts'
import { exitCodes } from './exit-code.ts'
import type { Io } from './io.ts'
import { type CostLine, type CostTotal, costOfGuestWork, costOfRemoteWork, perService, totalsOf } from './lease-cost.ts'
import { moneyText, priceText } from './money.ts'
import { columns, type Format, printObject } from './output.ts'
import { readable } from './readable.ts'

const hoursPerMonth = 730

export type CostOptions = {
  /** Undefined: all of them. */
  name: string | undefined
  /** Undefined: all of them, and what guests bring. */
  namespace: string | undefined
  systemNamespace: string
  month: boolean
  output: Format
}

/** `cost`: what the leases of peers cost now and so far, as metered; settled figures are the ledger's. */
export async function cost(client: KubeClient, options: CostOptions, io: Io, signal: AbortSignal): Promise<void> {
  const { name, namespace } = options
  if (name !== undefined && namespace !== undefined) await mustExist(client, { name, namespace }, signal)
  const { items } = await client.list(remoteWorks, { signal, ...(namespace !== undefined && { namespace }) })
  const wanted = name === undefined ? undefined : `${namespace}/${name}`
  const taken = items.flatMap((work) => {
    const line = costOfRemoteWork(work)
    return line === undefined || (wanted !== undefined && line.service !== wanted) ? [] : [line]
  })
  const guests =
    namespace === undefined ? await readable(client, guestWorks, { namespace: options.systemNamespace, signal }) : []
  const given = (guests ?? []).flatMap((guest) => costOfGuestWork(guest, gpusOfGuest(guest)) ?? [])
  const lines = perService([...taken, ...given])
  const totals = totalsOf(lines)
  if (options.output !== 'table') {
    await printObject(io, options.output, { items: lines, totals })
    return
  }
  if (lines.length === 0) io.err('No peer has given or been given a lease here.\n')
  else io.out(table(lines, totals, options.month))
  if (guests === undefined)
    io.err(`You may not read GuestWorks in ${options.systemNamespace}; what guests bring is left out.\n`)
}

async function mustExist(
  client: KubeClient,
  { name, namespace }: { name: string; namespace: string },
  signal: AbortSignal,
): Promise<void> {
  if ((await client.get(inferenceServices, { namespace, name }, { signal })) !== undefined) return
  throw new CliError(
    exitCodes.notFound,
    `there is no InferenceService ${name} in namespace ${namespace}`,
    'kubectl hansa list --all-namespaces shows all.',
  )
}

/** The operator has checked the request that it granted; here it is only read. */
function gpusOfGuest({ spec }: GuestWork): number {
  const request = readRequest(spec.request)
  return request === undefined ? 0 : gpusOf(workerAmounts(request.work))
}

function table(lines: readonly CostLine[], totals: readonly CostTotal[], month: boolean): string {
  const head = ['', 'PEER', 'SERVICE', 'WORKERS', 'GPUS', 'PRICE/GPU HOUR', 'PER HOUR']
  if (month) head.push('PER MONTH')
  head.push('GPU SECONDS', 'SO FAR')
  const money = (micros: number, currency: string | undefined) =>
    currency === undefined ? '-' : moneyText(micros, currency)
  const amounts = ({ microsPerHour, gpuSeconds, microsSoFar }: CostTotal, currency: string | undefined) => [
    money(microsPerHour, currency),
    ...(month ? [money(microsPerHour * hoursPerMonth, currency)] : []),
    String(gpuSeconds),
    money(microsSoFar, currency),
  ]
  const rows = lines.map((line) => [
    line.direction.toLowerCase(),
    line.peer,
    line.service,
    String(line.workers),
    String(line.gpus),
    priceText(line.price),
    ...amounts({ ...line, currency: line.price?.currency }, line.price?.currency),
  ])
  const sums = totals.map((total) => {
    const what = `all ${total.direction.toLowerCase()}`
    return [what, '', total.currency ?? 'free', '', String(total.gpus), '', ...amounts(total, total.currency)]
  })
  return columns(head, [...rows, ...sums])
}
