import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { commitment, type Receipt } from '@hansa/operator/ledger/receipt.ts'
import type { Dice } from '../partition-sim/real/faults.ts'
import type { ToWrite } from './gateway-process.ts'
import type { Owner } from './owner.ts'

/** Work that one owner does for another. */
export type Lending = { requestId: string; epoch: number; from: Owner; to: Owner; price: Receipt['price'] }

/** What the load knows, to compare the books with. */
export type Written = {
  /** Acknowledged receipts by id: `served` had resolved. */
  acknowledged: Map<string, Receipt>
  /** Every receipt that a book was given; what was not acknowledged may be in the books or not. */
  given: Map<string, Receipt>
}

export type Load = { written: Written; requests: number; stop(): Promise<void> }

const batch = 12
const everyMilliseconds = 40
const maxUnderWay = 12

/** Requests between two owners, as the gateways of both would write them down, some hundreds a second. */
export function startLoad(lendings: readonly Lending[], dice: Dice): Load {
  const written: Written = { acknowledged: new Map(), given: new Map() }
  const underWay = new Set<Promise<void>>()
  let stopped = false
  const load = { written, requests: 0, stop }

  async function requests(lending: Lending): Promise<void> {
    const { from, to } = lending
    const [asking, answering] = [gatewayOf(from, dice), gatewayOf(to, dice)]
    const calls = Array.from({ length: batch }, () => call(lending, dice, from.skewMilliseconds))
    const wasSent = await asking.write(calls.map(({ sent }) => sent))
    const going = calls.filter((_, index) => wasSent[index])
    for (const { receipt } of going) written.given.set(receipt.id, receipt)
    const wasServed = await answering.write(going.map(({ served }) => served))
    for (const [index, { receipt }] of going.entries()) {
      if (wasServed[index]) written.acknowledged.set(receipt.id, receipt)
    }
    load.requests += going.length
    // An answer without its end brings no receipt.
    await asking.write(going.map(({ seen, broken }, index) => (wasServed[index] ? seen : broken)))
  }

  async function run(): Promise<void> {
    while (!stopped) {
      const lending = lendings[Math.floor(dice.random() * lendings.length)]
      if (lending !== undefined && underWay.size < maxUnderWay) {
        const one = requests(lending).finally(() => underWay.delete(one))
        underWay.add(one)
      }
      await sleep(everyMilliseconds)
    }
    await Promise.all(underWay)
  }

  const running = run()
  async function stop(): Promise<void> {
    stopped = true
    await running
  }
  return load
}

function gatewayOf({ gateways }: Owner, dice: Dice) {
  const gateway = gateways[Math.floor(dice.random() * gateways.length)]
  if (gateway === undefined) throw new Error('an owner without gateways')
  return gateway
}

type Call = { receipt: Receipt; sent: ToWrite; served: ToWrite; seen: ToWrite; broken: ToWrite }

const hash = (text: string) => createHash('sha256').update(text).digest()

function call({ requestId, epoch, price }: Lending, dice: Dice, skewMilliseconds: number): Call {
  const id = randomBytes(16).toString('base64url')
  const saltBytes = randomBytes(16)
  const salt = saltBytes.toString('base64url')
  const of = (what: 'request' | 'response' | 'caller') => commitment(what, saltBytes, hash(`${what} ${id}`))
  const grant = { requestId, epoch, id }
  const about = { model: hash('model').toString('hex'), caller: of('caller') }
  const classes = { dataClass: 'Internal', purpose: 'Inference' } as const
  const measured = {
    ...{ request: of('request'), response: of('response'), status: 200 },
    requestBytes: Math.floor(dice.between(1, 10_000)),
    responseBytes: Math.floor(dice.between(1, 100_000)),
  }
  const receipt: Receipt = {
    ...{ version: 1, ...grant, ...about, ...classes, ...measured },
    ended: new Date(Date.now() + skewMilliseconds).toISOString(),
    inputTokens: Math.floor(dice.between(0, 1000)),
    outputTokens: Math.floor(dice.between(0, 1000)),
    busyGPUMilliseconds: Math.floor(dice.between(0, 100)),
    ...(price !== undefined && { price }),
  }
  const names = { callerName: 'somebody', namespace: 'apps', service: 'digits' }
  return {
    receipt,
    sent: { kind: 'Sent', request: { ...grant, ...about, ...classes, salt, ...names } },
    served: { kind: 'Served', receipt, salt },
    seen: { kind: 'Seen', answer: { ...grant, ...measured, receipt, whole: true } },
    broken: { kind: 'Seen', answer: { ...grant, ...measured, whole: false } },
  }
}
