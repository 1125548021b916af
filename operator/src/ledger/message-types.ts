import type { MessageOf } from '../federation/messages.ts'

export type Claim = MessageOf<'Claim'>
export type Settlement = MessageOf<'Settlement'>
export type Cosignature = MessageOf<'Cosignature'>
