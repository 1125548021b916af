import { readJoinFile, sha256Of } from '@hansa/operator/peer/join-file.ts'
import type { TestOwner } from '../../builders/federation.ts'
import type { Random } from './random.ts'

/** Everything that the attacker has: all files of this join and of earlier ones, and an owner's keys of his own. */
export type Loot = {
  mallory: TestOwner
  /** The files as the honest sides made them; the acceptance as soon as there is one. */
  invite: string
  acceptance: string | undefined
  /** What the accepter was given. */
  givenInvite: string
  /** Files of earlier joins of the same owners. */
  earlier: readonly { invite: string; acceptance: string }[]
  /** An invite that the inviter made for the attacker, as for any peer. */
  ownInvite: string | undefined
  random: Random
}

type Rewrite = (loot: Loot) => string | Promise<string>

/** One attack: what he makes of each file. Left out: it passes as it is. */
export type Attack = { name: string; invite?: Rewrite; acceptance?: Rewrite; needsOwnInvite?: boolean }

const of = (text: string | undefined): Record<string, unknown> => JSON.parse(text ?? '{}')
const write = (file: object) => `${JSON.stringify(file, null, 2)}\n`
const inviteWith = (change: (loot: Loot) => object | Promise<object>): Rewrite => {
  return async (loot) => write({ ...of(loot.invite), ...(await change(loot)) })
}
/** Keeps the inviter's file acceptable: it names the invite that the inviter made, not the one that the accepter got. */
const acceptanceWith = (change: (loot: Loot) => object | Promise<object>): Rewrite => {
  return async (loot) => {
    const base = of(loot.acceptance ?? blank(loot))
    return write({ ...base, inviteSha256: sha256Of(loot.invite), ...(await change(loot)) })
  }
}
const blank = ({ invite, random, mallory }: Loot) =>
  write({
    kind: 'HansaAcceptance',
    version: 1,
    inviteSha256: sha256Of(invite),
    nonce: random.bytes(32).toString('base64url'),
    bundle: mallory.envelope,
  })
const nonce = ({ random }: Loot) => ({ nonce: random.bytes(32).toString('base64url') })
const later = ({ random }: Loot) => ({ expires: `20${30 + random.below(60)}-01-01T00:00:00Z` })
const hisBundle = ({ mallory }: Loot) => ({ bundle: mallory.envelope })
/** His own keys, in the words of another. */
const posing = async ({ mallory }: Loot, victim: string) => {
  const { ownerId, clusterName, contact, address } = bundleOf(victim)
  const said = {
    ownerId,
    clusterName,
    ...(contact !== undefined && { contact }),
    ...(address !== undefined && { address }),
  }
  return { bundle: await mallory.publish(said) }
}
const mended = acceptanceWith(() => ({}))

type Payload = {
  ownerId: string
  clusterName: string
  trustDomain: string
  rootKey: string
  contact?: string
  address?: string
}
function bundleOf(file: string): Payload {
  const { payload } = JSON.parse(String(of(file).bundle))
  return JSON.parse(Buffer.from(payload, 'base64').toString())
}

/** The signed bundle with other words in it, its signature as it was. */
function tampered(file: string, change: object): object {
  const envelope = JSON.parse(String(of(file).bundle))
  const payload = { ...JSON.parse(Buffer.from(envelope.payload, 'base64').toString()), ...change }
  return { bundle: JSON.stringify({ ...envelope, payload: Buffer.from(JSON.stringify(payload)).toString('base64') }) }
}

const hidden = ['\u200b', '\u200d', '\u2060', '\u00ad', '\ufeff', '\u202e', '\u0430']
const inText = (text: string, { random }: Loot, what: string) => {
  const at = random.below(text.length)
  return text.slice(0, at) + what + text.slice(at)
}
const flipped = (text: string, { random }: Loot) => {
  const bytes = Buffer.from(text)
  const at = random.below(bytes.length)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
  return bytes.toString('latin1')
}
const twice = (text: string, member: string, value: string) => text.replace('{\n', `{\n  "${member}": "${value}",\n`)

/** Changes of a file as a text, whatever it says. */
const textual: Record<string, (text: string, loot: Loot) => string> = {
  'flips a bit': flipped,
  'cuts the end off': (text, { random }) => text.slice(0, random.below(text.length)),
  'hides a character': (text, loot) => inText(text, loot, loot.random.pick(hidden)),
  'adds blanks': (text, loot) => inText(text, loot, ' '),
  'repeats a member before': (text, loot) => twice(text, 'bundle', String(nonce(loot).nonce)),
  'repeats the bundle': (text, { mallory }) =>
    text.replace(/\n}\n$/, `,\n  "bundle": ${JSON.stringify(mallory.envelope)}\n}\n`),
  'adds a member': (text) => text.replace(/\n}\n$/, ',\n  "__proto__": {"nonce": "x"}\n}\n'),
  'changes line breaks': (text) => text.replaceAll('\n', '\r\n'),
  'escapes a letter': (text) => text.replace('"nonce"', '"\\u006eonce"'),
  'orders the members anew': (text) => write(Object.fromEntries(Object.entries(of(text)).reverse())),
  'says it twice': (text) => text + text,
}

const both: Attack[] = [
  {
    name: 'stands between both with his own keys',
    invite: inviteWith(hisBundle),
    acceptance: acceptanceWith(hisBundle),
  },
  {
    name: 'stands between both under their names',
    invite: inviteWith((loot) => posing(loot, loot.invite)),
    acceptance: acceptanceWith((loot) => posing(loot, loot.acceptance ?? loot.invite)),
  },
  {
    name: 'stands between both with his own keys and nonces',
    invite: inviteWith((loot) => ({ ...hisBundle(loot), ...nonce(loot) })),
    acceptance: acceptanceWith((loot) => ({ ...hisBundle(loot), ...nonce(loot) })),
  },
  { name: 'takes the place of the inviter', invite: inviteWith(hisBundle), acceptance: mended },
  {
    name: 'takes the place of the inviter, with a later end',
    invite: inviteWith((l) => ({ ...hisBundle(l), ...later(l) })),
    acceptance: mended,
  },
  { name: 'takes the place of the accepter', acceptance: acceptanceWith(hisBundle) },
  {
    name: 'takes the place of the accepter, with another nonce',
    acceptance: acceptanceWith((l) => ({ ...hisBundle(l), ...nonce(l) })),
  },
  { name: 'answers before the accepter does', invite: () => '', acceptance: (loot) => blank(loot) },
  { name: 'changes the nonce of the invite', invite: inviteWith(nonce), acceptance: mended },
  { name: 'changes the end of the invite', invite: inviteWith(later), acceptance: mended },
  { name: 'changes the nonce of the acceptance', acceptance: acceptanceWith(nonce) },
  {
    name: 'claims the trust domain of the inviter',
    invite: inviteWith(async ({ mallory, invite }) => ({
      bundle: await mallory.publish({ trustDomain: bundleOf(invite).trustDomain }),
    })),
  },
  {
    name: 'claims the key of the inviter',
    invite: inviteWith((loot) => tampered(loot.invite, { authorities: loot.mallory.bundle.authorities })),
  },
  {
    name: 'claims the key of the accepter',
    acceptance: acceptanceWith((loot) =>
      tampered(loot.acceptance ?? loot.invite, { roleKeys: loot.mallory.bundle.roleKeys }),
    ),
  },
  {
    name: 'changes the address in the invite',
    invite: inviteWith((loot) => tampered(loot.invite, { address: 'mallory.example:9444' })),
    acceptance: mended,
  },
  {
    name: 'changes the names in the acceptance',
    acceptance: acceptanceWith((loot) =>
      tampered(loot.acceptance ?? loot.invite, {
        ownerId: loot.random.pick(['clinic', 'clin\u200bic', '\u0441linic']),
      }),
    ),
  },
  {
    name: 'puts a hidden character into his owner name',
    acceptance: acceptanceWith((loot) => ({
      bundle: `${loot.mallory.envelope.slice(0, -1)}${loot.random.pick(hidden)}}`,
    })),
  },
  { name: 'sends the invite back as its acceptance', acceptance: ({ invite }) => invite },
  {
    name: 'sends the bundle of the inviter back',
    acceptance: acceptanceWith(({ invite }) => ({ bundle: of(invite).bundle })),
  },
  { name: 'sends the acceptance as an invite', invite: (loot) => loot.earlier.at(-1)?.acceptance ?? '' },
  { name: 'replays an old invite', invite: (loot) => loot.earlier.at(-1)?.invite ?? '', acceptance: mended },
  { name: 'replays an old acceptance', acceptance: (loot) => loot.earlier.at(-1)?.acceptance ?? '' },
  {
    name: 'replays an old acceptance for this invite',
    acceptance: (loot) => write({ ...of(loot.earlier.at(-1)?.acceptance), inviteSha256: sha256Of(loot.invite) }),
  },
  {
    name: 'mixes an old bundle with a new nonce',
    acceptance: acceptanceWith((loot) => ({ nonce: of(loot.earlier.at(-1)?.acceptance).nonce })),
  },
  { name: 'passes on an invite that was made for him', invite: (loot) => loot.ownInvite ?? '', needsOwnInvite: true },
  {
    name: 'passes on an invite that was made for him, and mends the acceptance',
    invite: (loot) => loot.ownInvite ?? '',
    acceptance: mended,
    needsOwnInvite: true,
  },
]

/** All attacks, the textual ones on either file. */
export const attacks: readonly Attack[] = [
  ...both,
  ...Object.entries(textual).flatMap(([name, change]): Attack[] => [
    { name: `${name} in the invite`, invite: (loot) => change(loot.invite, loot) },
    {
      name: `${name} in the invite, and mends the acceptance`,
      invite: (loot) => change(loot.invite, loot),
      acceptance: mended,
    },
    { name: `${name} in the acceptance`, acceptance: (loot) => change(loot.acceptance ?? blank(loot), loot) },
  ]),
]

/** Whether a text is a file that the accepter could take at all. */
export const isInvite = (text: string) => !('problem' in readJoinFile('HansaInvite', Buffer.from(text)))
