/** Headers between gateways of different owners, beside those of a forwarded request. */
export const epochHeader = 'x-hansa-epoch'
export const receiptHeader = 'x-hansa-receipt'
export const dataClassHeader = 'x-hansa-data-class'
export const purposeHeader = 'x-hansa-purpose'
/** On an answer: no worker has seen the request. */
export const refusedHeader = 'x-hansa-refused'
/** On answers to users: `own`, or the name of the Peer whose workers gave it. */
export const ownerHeader = 'x-hansa-owner'

/** What the requester's gateway says for the receipt: an id, a salt (16 bytes each) and the commitment to the caller's name. */
export type ReceiptRequest = { id: string; salt: string; caller: string }

const pattern = /^([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{22})\.([0-9a-f]{64})$/

export function receiptRequestText({ id, salt, caller }: ReceiptRequest): string {
  return `${id}.${salt}.${caller}`
}

/** Undefined for whatever is not of that form. */
export function parseReceiptRequest(text: unknown): ReceiptRequest | undefined {
  const [, id, salt, caller] = (typeof text === 'string' ? pattern.exec(text) : null) ?? []
  return id === undefined || salt === undefined || caller === undefined ? undefined : { id, salt, caller }
}
