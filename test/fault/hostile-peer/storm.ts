import { codeOfKind, type DeliverRequest } from '@hansa/operator/link/wire/messages.ts'
import { alpn, deliver } from '@hansa/operator/link/wire/methods.ts'
import type { Attacker, Delivery, Target } from './attacker.ts'
import { frame, grpcMessage, headerBlock } from './raw-http2.ts'

const head = (stream: number) => frame('headers', stream, headerBlock(deliver.path), 4)

/**
 * Everything at once for a while: floods on raw connections, handshakes that come to nothing, and whole requests without regard for
 * answers or limits. Returns how many requests were sent.
 */
export async function storm(
  attacker: Attacker,
  target: Target,
  next: () => Delivery | undefined,
  seconds: number,
): Promise<number> {
  const until = performance.now() + seconds * 1000
  const over = () => performance.now() > until
  const place = { ...target, from: '127.0.0.9' }
  let sent = 0

  /** Connections one after the other, each used until it is cut. */
  async function abuse(make: (index: number) => Buffer | undefined, most: number): Promise<void> {
    while (!over()) {
      const socket = await attacker.raw(place).catch(() => undefined)
      for (let i = 0; socket !== undefined && i < most && !socket.destroyed && !over(); i++) {
        const bytes = make(i)
        if (bytes === undefined) break
        if (!socket.write(bytes) || i % 20 === 19) await pause(20)
      }
      await pause(100)
      socket?.destroy()
    }
  }

  const request = (index: number): Buffer | undefined => {
    const delivery = next()
    if (delivery === undefined) return undefined
    sent += 1
    const stream = 2 * index + 3
    return Buffer.concat([head(stream), frame('data', stream, grpcMessage(encoded(delivery)), 1)])
  }
  await Promise.all([
    abuse(request, 10_000),
    abuse(request, 10_000),
    abuse((i) => Buffer.concat([head(2 * i + 3), frame('reset', 2 * i + 3, Buffer.alloc(4))]), 5000),
    abuse(() => frame('ping', 0, Buffer.alloc(8)), 5000),
    abuse(
      (i) =>
        i === 0
          ? head(3)
          : frame('data', 3, i === 1 ? grpcMessage(Buffer.alloc(100), { size: 250_000 }) : Buffer.alloc(100)),
      5000,
    ),
    (async () => {
      while (!over()) {
        const nobody = { key: undefined, cert: undefined }
        const socket = await attacker.tls(place, alpn.control, nobody).catch(() => undefined)
        socket?.destroy()
        await pause(20)
      }
    })(),
  ])
  return sent
}

function encoded({ kind, ...rest }: Delivery): Buffer {
  return deliver.request.encode({ kind: codeOfKind(kind), ...rest } satisfies DeliverRequest)
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
