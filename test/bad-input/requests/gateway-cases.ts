import { UnsecuredJWT } from 'jose'
import type { BadInputCase, BadInputSuite, Refusal } from '../case.ts'
import { type GatewayContext, path, sendOverTls, sendPlain, startGatewayTarget } from './gateway-target.ts'

type Case = BadInputCase<GatewayContext>
type SendOptions = Parameters<typeof sendOverTls>[3]

const bad: Refusal = { status: 400 }
const closed: Refusal = { message: 'connection closed' }

/** Bytes as they go over the wire; TOKEN stands for a good token, lines end with CRLF. */
function raw(name: string, expected: Refusal, text: string, options: SendOptions = {}): Case {
  return {
    name,
    expected,
    run: (context, signal) =>
      sendOverTls(context, Buffer.from(text.replaceAll('TOKEN', context.token), 'latin1'), signal, options),
  }
}

/** A POST that is good but for its own header lines and body. */
function post(name: string, expected: Refusal, headers: readonly string[], body = ''): Case {
  const head = [`POST ${path} HTTP/1.1`, 'Host: localhost', 'Authorization: Bearer TOKEN', ...headers]
  return raw(name, expected, `${head.join('\r\n')}\r\n\r\n${body}`)
}

/** A GET that is good but for its target. */
function target(name: string, expected: Refusal, requestTarget: string): Case {
  return raw(name, expected, `GET ${requestTarget} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN\r\n\r\n`)
}

function method(name: string, expected: Refusal): Case {
  return raw(
    `method ${name}`,
    expected,
    `${name} ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN\r\nContent-Length: 0\r\n\r\n`,
  )
}

/** A POST that is good but for its token, which is made from the good one. */
function token(
  name: string,
  make: (context: GatewayContext) => Promise<string> | string,
  header = 'Authorization: Bearer',
): Case {
  return {
    name,
    expected: { status: 401 },
    run: async (context, signal) =>
      sendOverTls(
        context,
        Buffer.from(
          `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${header} ${await make(context)}\r\nContent-Length: 1\r\n\r\nx`,
        ),
        signal,
      ),
  }
}

const smuggled = `0\r\n\r\nGET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN\r\n\r\n`

const framing: Case[] = [
  post('Content-Length and Transfer-Encoding', bad, ['Content-Length: 5', 'Transfer-Encoding: chunked'], smuggled),
  post('Transfer-Encoding and Content-Length', bad, ['Transfer-Encoding: chunked', 'Content-Length: 4'], smuggled),
  post('Content-Length twice, the same', bad, ['Content-Length: 1', 'Content-Length: 1'], 'x'),
  post('Content-Length twice, different', bad, ['Content-Length: 1', 'Content-Length: 30'], `x${smuggled}`),
  post('Content-Length twice in one line', bad, ['Content-Length: 1, 1'], 'x'),
  post('Content-Length with plus', bad, ['Content-Length: +1'], 'x'),
  post('Content-Length below zero', bad, ['Content-Length: -1'], 'x'),
  post('Content-Length in hex', bad, ['Content-Length: 0x1'], 'x'),
  post('Content-Length with a space inside', bad, ['Content-Length: 1 1'], 'x'),
  post('empty Content-Length', bad, ['Content-Length:'], ''),
  post('Content-Length beyond 64 bits', bad, ['Content-Length: 99999999999999999999999'], 'x'),
  post('Content-Length with a space before the colon', bad, ['Content-Length : 1'], 'x'),
  post('Transfer-Encoding twice', bad, ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], smuggled),
  post('Transfer-Encoding identity after chunked', bad, ['Transfer-Encoding: chunked, identity'], smuggled),
  post('Transfer-Encoding gzip then chunked', { status: 501 }, ['Transfer-Encoding: gzip, chunked'], smuggled),
  post('Transfer-Encoding unknown', { status: 501 }, ['Transfer-Encoding: xchunked'], smuggled),
  post('Transfer-Encoding with a vertical tab', bad, ['Transfer-Encoding: \x0bchunked'], smuggled),
  post('Transfer-Encoding with a space before the colon', bad, ['Transfer-Encoding : chunked'], smuggled),
  post('Transfer-Encoding with a folded line', bad, ['Transfer-Encoding:', ' chunked'], smuggled),
  post('chunk size that is no number', bad, ['Transfer-Encoding: chunked'], 'zz\r\nx\r\n0\r\n\r\n'),
  post('chunk size with a sign', bad, ['Transfer-Encoding: chunked'], '-1\r\nx\r\n0\r\n\r\n'),
  post('chunk size beyond 64 bits', bad, ['Transfer-Encoding: chunked'], 'fffffffffffffffffff\r\nx\r\n0\r\n\r\n'),
  post('chunk longer than its size', bad, ['Transfer-Encoding: chunked'], '1\r\nxyz\r\n0\r\n\r\n'),
  post('chunk lines that end in LF alone', bad, ['Transfer-Encoding: chunked'], '1\nx\n0\n\n'),
  post(
    'chunk extensions of 20 KB',
    { status: 413 },
    ['Transfer-Encoding: chunked'],
    `1;${'a'.repeat(20_000)}\r\nx\r\n0\r\n\r\n`,
  ),
  post('header lines that end in LF alone', bad, ['X-A: 1\nContent-Length: 1'], 'x'),
  post('a bare CR in a header', bad, ['X-A: 1\rContent-Length: 1'], 'x'),
  post('a folded header line', bad, ['X-A: 1', ' 2', 'Content-Length: 1'], 'x'),
  post('a header without colon', bad, ['X-A', 'Content-Length: 1'], 'x'),
  post('a header name with a space', bad, ['X A: 1', 'Content-Length: 1'], 'x'),
  post('a header name with a NUL', bad, ['X\0A: 1', 'Content-Length: 1'], 'x'),
  post('a header value with a NUL', bad, ['X-A: 1\0', 'Content-Length: 1'], 'x'),
  post('an empty header name', bad, [': 1', 'Content-Length: 1'], 'x'),
  post('a body above the limit of the service', { status: 413 }, ['Content-Length: 65537'], 'x'),
  post(
    'a chunked body above the limit',
    { status: 413 },
    ['Transfer-Encoding: chunked'],
    `20000\r\n${'x'.repeat(131_072)}\r\n0\r\n\r\n`,
  ),
  raw(
    'a body that ends early',
    bad,
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN\r\nContent-Length: 10\r\n\r\nx`,
    { end: true },
  ),
  raw(
    'a chunked body that ends early',
    bad,
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx`,
    { end: true },
  ),
]

const heads: Case[] = [
  raw('no Host', bad, `GET ${path} HTTP/1.1\r\nAuthorization: Bearer TOKEN\r\n\r\n`),
  post('Host twice', bad, ['Host: elsewhere', 'Content-Length: 1'], 'x'),
  post('Authorization twice', bad, ['Authorization: Bearer TOKEN', 'Content-Length: 1'], 'x'),
  post('Content-Type twice', bad, ['Content-Type: a/b', 'Content-Type: c/d', 'Content-Length: 1'], 'x'),
  post(
    'binary header length twice',
    bad,
    ['Inference-Header-Content-Length: 1', 'Inference-Header-Content-Length: 2', 'Content-Length: 1'],
    'x',
  ),
  post(
    '65 headers',
    { status: 431 },
    Array.from({ length: 65 }, (_, i) => `X-${i}: 1`),
  ),
  post(
    '3000 headers',
    { status: 431 },
    Array.from({ length: 3000 }, (_, i) => `X-${i}: 1`),
  ),
  post('a header of 20 KB', { status: 431 }, [`X-A: ${'a'.repeat(20_000)}`]),
  post('another expectation', bad, ['Expect: a-miracle', 'Content-Length: 1'], 'x'),
  post('deadline zero', bad, ['X-Request-Timeout-Ms: 0', 'Content-Length: 1'], 'x'),
  post('deadline below zero', bad, ['X-Request-Timeout-Ms: -5', 'Content-Length: 1'], 'x'),
  post('deadline in words', bad, ['X-Request-Timeout-Ms: soon', 'Content-Length: 1'], 'x'),
  post('deadline above an hour', bad, ['X-Request-Timeout-Ms: 99999999', 'Content-Length: 1'], 'x'),
  post('deadline twice', bad, ['X-Request-Timeout-Ms: 5', 'X-Request-Timeout-Ms: 6', 'Content-Length: 1'], 'x'),
  raw('HTTP/1.0', { status: 505 }, `GET ${path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer TOKEN\r\n\r\n`),
  raw('HTTP/0.9', { status: 505 }, `GET ${path}\r\n\r\n`),
  raw('HTTP/3.0 in a request line', bad, `GET ${path} HTTP/3.0\r\nHost: localhost\r\n\r\n`),
  raw('the HTTP/2 preface', bad, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  raw('text', bad, 'hello gateway\r\n\r\n'),
  raw('zeros', bad, '\0'.repeat(100)),
  raw(
    'an upgrade to a web socket',
    bad,
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  ),
  raw(
    'an upgrade to h2c',
    bad,
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
  ),
  raw(
    'GET with a body',
    bad,
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN\r\nContent-Length: 1\r\n\r\nx`,
  ),
  raw(
    'GET with a chunked body',
    bad,
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ),
  method('PUT', { status: 405 }),
  method('DELETE', { status: 405 }),
  method('PATCH', { status: 405 }),
  method('OPTIONS', { status: 405 }),
  method('TRACE', { status: 405 }),
  method('post', bad),
  method('BREW', bad),
  raw(
    'CONNECT',
    { status: 405 },
    'CONNECT worker:8443 HTTP/1.1\r\nHost: worker:8443\r\nAuthorization: Bearer TOKEN\r\n\r\n',
  ),
]

const targets: Case[] = [
  target('an encoded slash', bad, '/apps/digits%2Fv2/models'),
  target('an encoded slash below v2', bad, '/apps/digits/v2/models%2fdigits'),
  target('encoded dots', bad, '/apps/digits/v2/%2e%2e/%2e%2e/other/v2'),
  target('doubly encoded dots', bad, '/apps/digits/v2/%252e%252e/x'),
  target('dot segments', bad, '/apps/digits/v2/../../other/v2'),
  target('one dot', bad, '/apps/./digits/v2'),
  target('dots with a parameter', bad, '/apps/digits/v2/..;/x'),
  target('a backslash', bad, '/apps/digits/v2\\..\\x'),
  target('an encoded backslash', bad, '/apps/digits/v2/%5c..%5cx'),
  target('two slashes', bad, '/apps//digits/v2'),
  target('two slashes in front', bad, '//worker/apps/digits/v2'),
  target('an encoded NUL', bad, '/apps/digits/v2/%00'),
  target('a raw NUL', bad, '/apps/digits/v2/\0'),
  target('a tab', bad, '/apps/digits/v2/\tx'),
  target('a fragment', bad, '/apps/digits/v2#x'),
  target('letters beyond ASCII', bad, '/apps/digits/v2/\xe9'),
  target('overlong UTF-8', bad, '/apps/digits/v2/%c0%ae%c0%ae'),
  target('a broken escape', bad, '/apps/digits/v2/%zz'),
  target('a whole URL', bad, `https://localhost${path}`),
  target('an asterisk', bad, '*'),
  target('an address', bad, 'worker:8443'),
  target('a carriage return in the query', bad, `${path}?a=\r`),
  target('an angle bracket in the query', bad, `${path}?a=<script>`),
  target('3000 characters', { status: 414 }, `/apps/digits/v2/${'a'.repeat(3000)}`),
  target('20,000 characters', { status: 431 }, `/apps/digits/v2/${'a'.repeat(20_000)}`),
  target('no service', { status: 404 }, '/apps'),
  target('another protocol version', { status: 404 }, '/apps/digits/v3/models'),
  target("the gateway's own probes", { status: 404 }, '/metrics'),
  target('a name in capitals', { status: 404 }, '/APPS/digits/v2'),
  target('a service that is not there', { status: 403 }, '/apps/nothing/v2'),
  target('a name out of an object', { status: 403 }, '/apps/constructor/v2'),
]

const tokens: Case[] = [
  token('an empty token', () => ''),
  token('a token of two parts', ({ token: good }) => good.split('.').slice(0, 2).join('.')),
  token('a token of four parts', ({ token: good }) => `${good}.x`),
  token('a token with a comma and another', ({ token: good }) => `${good},${good}`),
  token('a token in the query of the header', ({ token: good }) => `access_token=${good}`),
  token('a good token as basic credentials', ({ token: good }) => good, 'Authorization: Basic'),
  token('a good token in another header', ({ token: good }) => good, 'X-Authorization: Bearer'),
  token('a cut signature', ({ token: good }) => good.slice(0, -10)),
  token('another signature', ({ token: good }) => `${good.split('.').slice(0, 2).join('.')}.${'A'.repeat(86)}`),
  token('another payload under the signature', ({ token: good }) => {
    const [head, , signature] = good.split('.')
    return `${head}.${Buffer.from('{"sub":"system:serviceaccount:apps:admin"}').toString('base64url')}.${signature}`
  }),
  token('algorithm none', ({ rig }) => {
    const exp = Math.floor(Date.now() / 1000) + 60
    return `${new UnsecuredJWT({ iss: rig.cluster.issuer, aud: 'hansa', sub: 'system:serviceaccount:apps:caller', exp }).encode()}AA`
  }),
  token('a header that is no JSON', ({ token: good }) => `e30x.${good.split('.').slice(1).join('.')}`),
  token('a key that nobody has', ({ rig }) => rig.token({}, { kid: 'other' })),
  token('a key id that is a path', ({ rig }) => rig.token({}, { kid: '../../etc/passwd' })),
  token('an end in the past', ({ rig }) => rig.token({ exp: 1 })),
  token('an end that is text', ({ rig }) => rig.token({ exp: 'tomorrow' })),
  token('a beginning in the future', ({ rig }) => rig.token({ nbf: Math.floor(Date.now() / 1000) + 3600 })),
  token('another audience', ({ rig }) => rig.token({ aud: 'other' })),
  token('another issuer', ({ rig }) => rig.token({ iss: 'https://evil.test' })),
  token('a subject that is a list', ({ rig }) => rig.token({ sub: ['system:serviceaccount:apps:caller'] })),
  token('a subject with a line end', ({ rig }) => rig.token({ sub: 'system:serviceaccount:apps:caller\n' })),
  token('a token of 12 KB', ({ rig }) => rig.token({ filler: 'x'.repeat(9000) })),
]

const transport: Case[] = [
  {
    name: 'plain HTTP on the TLS port',
    expected: closed,
    run: (context, signal) =>
      sendPlain(context, Buffer.from(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`), signal),
  },
  {
    name: 'random bytes instead of a handshake',
    expected: closed,
    run: (context, signal) => sendPlain(context, Buffer.alloc(2000, 0xa5), signal),
  },
  {
    name: 'a handshake record that claims 16 MB',
    expected: closed,
    run: (context, signal) => sendPlain(context, Buffer.from([22, 3, 1, 255, 255, 1, 255, 255, 255, 3, 3]), signal),
  },
  raw('TLS 1.1', closed, 'GET / HTTP/1.1\r\n\r\n', {
    tls: { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
  }),
  raw('TLS 1.2 without forward secrecy', closed, 'GET / HTTP/1.1\r\n\r\n', {
    tls: { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
  }),
  raw('only HTTP/2 in ALPN', closed, 'GET / HTTP/1.1\r\n\r\n', { tls: { ALPNProtocols: ['h2'] } }),
  raw('a server name that nobody has, and no token', { status: 401 }, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`, {
    tls: { servername: 'nobody.example', rejectUnauthorized: false },
  }),
  raw('a server name of 250 odd characters, and no token', { status: 401 }, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`, {
    tls: { servername: `${'_-'.repeat(120)}.x`, rejectUnauthorized: false },
  }),
  {
    name: 'a head that trickles in',
    expected: { status: 408 },
    run: (context, signal) =>
      sendOverTls(
        context,
        Array.from({ length: 60 }, (_, i) => Buffer.from(i === 0 ? `GET ${path} HTTP/1.1\r\n` : `X-${i}: 1\r\n`)),
        signal,
        { pauseMs: 100 },
      ),
  },
]

export const suite: BadInputSuite<GatewayContext> = {
  name: 'requests to the gateway',
  cases: [...framing, ...heads, ...targets, ...tokens, ...transport],
  start: startGatewayTarget,
}
