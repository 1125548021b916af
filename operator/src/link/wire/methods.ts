import type { Codec } from './codec.ts'
import {
  bundleRequest,
  bundleResponse,
  deliverRequest,
  deliverResponse,
  helloRequest,
  helloResponse,
  presentRequest,
  presentResponse,
} from './messages.ts'

/** A unary call: its path and how its two messages are written. */
export type Method<Request, Response> = {
  readonly path: string
  readonly request: Codec<Request>
  readonly response: Codec<Response>
}

const link = '/hansa.link.v1.Link'
export const hello = { path: `${link}/Hello`, request: helloRequest, response: helloResponse }
export const present = { path: `${link}/Present`, request: presentRequest, response: presentResponse }
export const deliver = { path: `${link}/Deliver`, request: deliverRequest, response: deliverResponse }
export const exchange = {
  path: '/hansa.link.v1.Bundles/Exchange',
  request: bundleRequest,
  response: bundleResponse,
}

/** Protocol of a TLS connection, by who calls on it. */
export const alpn = { control: 'hansa-control/1', reverse: 'hansa-reverse/1', bundle: 'hansa-bundle/1' } as const
