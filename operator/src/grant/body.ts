import type { MessageKind, MessageOf } from '../federation/messages.ts'

/** A message before it is signed: `Seal` adds version, issuer, audience and times. */
export type Body<K extends MessageKind> = Omit<MessageOf<K>, 'version' | 'issuer' | 'audience' | 'issued' | 'expires'>
