import type { Claim, Cosignature, Settlement } from './message-types.ts'

type Filled = 'version' | 'issuer' | 'audience' | 'issued' | 'expires'

/** What a ledger may have signed: body of `POST /v1/identities/{identity}/receipts`. */
export type SignBody =
  | { kind: 'Claim'; peer: string; message: Omit<Claim, Filled> }
  | { kind: 'Settlement'; peer: string; message: Omit<Settlement, Filled> }
  | { kind: 'Cosignature'; peer: string; message: Omit<Cosignature, Filled> }
  | { kind: 'Checkpoint'; message: { size: number; root: string } }
