import { type GuestWork, vetoAnnotation } from '../api/guest-work.ts'

export type Veto = { readonly action: 'Stop' | 'Preempt' | 'Freeze'; readonly message: string }

const longestMessage = 512

/** The order of our admin in the annotation `hansa.dev/veto`: `stop: REASON` or `preempt: REASON`; anything else there stops too. */
export function vetoOf({ metadata }: Pick<GuestWork, 'metadata'>): Veto | undefined {
  const text = metadata.annotations?.[vetoAnnotation]
  if (text === undefined) return undefined
  const match = /^\s*(stop|preempt)\s*(?::\s*(.*))?$/is.exec(text)
  const message = (match === null ? text : (match[2] ?? '')).trim().slice(0, longestMessage)
  const action = match?.[1]?.toLowerCase() === 'preempt' ? 'Preempt' : 'Stop'
  return { action, message: message === '' ? 'no reason was given' : message }
}
