import { z } from 'zod'
import type { FederatedOwner } from '../../cluster/hansa/federation.ts'
import { approachesTo, type Door, doorsOf, isLetIn, isMeantFor, knock, names } from './doors.ts'
import type { Credential } from './haul.ts'
import { opens, tokenDoors } from './tokens.ts'

const atOnce = 8

/** Tries every credential at every port of Hansa abroad, and at home for comparison. */
export async function tryDoors(
  home: FederatedOwner,
  abroad: FederatedOwner,
  credentials: readonly Credential[],
  report: (line: string) => void,
) {
  const away = await tryAt(abroad, credentials, await serverName(home, abroad))
  const own = await tryAt(home, credentials, await serverName(abroad, home))
  for (const line of away.letIn) report(`let in abroad: ${line}`)
  report(`ports abroad: ${away.doors.join(', ')}`)
  return {
    doors: away.doors.length,
    tried: away.tried,
    accepted: away.letIn.length,
    asMeant: away.asMeant,
    acceptedAtHome: own.letIn.length,
  }
}

async function tryAt(owner: FederatedOwner, credentials: readonly Credential[], between: string) {
  const found = { doors: [] as string[], letIn: [] as string[], tried: 0, asMeant: 0 }
  const certificates = credentials.flatMap((each) => (each.kind === 'Certificate' ? [each] : []))
  const tokens = credentials.flatMap((each) => (each.kind === 'Token' ? [each] : []))
  for (const door of await doorsOf(owner)) {
    found.doors.push(`${door.process} ${door.number}`)
    for (const approach of approachesTo(door, between)) {
      const toNobody = await knock(door, approach)
      await inTurns(certificates, door, async (certificate) => {
        const said = await knock(door, approach, certificate)
        found.tried += 1
        if (!isLetIn(said, toNobody)) return
        if (isMeantFor(door, certificate.certPem)) found.asMeant += 1
        else found.letIn.push(`${names(certificate.certPem)} at ${door.process} ${door.port} ${approach.alpn}: ${said}`)
      })
    }
  }
  for (const door of await tokenDoors(owner)) {
    for (const { token, where } of tokens) {
      found.tried += 1
      if (await opens(door, token, 'none')) found.letIn.push(`the token in ${where} at ${door.name}`)
    }
  }
  return found
}

/** The link and the gateway limit handshakes of strangers: there it goes one by one, so that nothing is refused for haste alone. */
async function inTurns<T>(items: readonly T[], door: Door, each: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items]
  const lane = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await each(item)
  }
  const lanes = door.port === 'peers' || door.port === 'data' ? 1 : atOnce
  await Promise.all(Array.from({ length: lanes }, lane))
}

const identitySchema = z.object({ status: z.object({ trustDomain: z.string() }) })

async function serverName(dialler: FederatedOwner, acceptor: FederatedOwner): Promise<string> {
  const trustDomain = async (owner: FederatedOwner) =>
    identitySchema.parse(await owner.get(`/apis/hansa.dev/v1alpha1/identities/${owner.name}`)).status.trustDomain
  return `${await trustDomain(dialler)}.${await trustDomain(acceptor)}`
}
