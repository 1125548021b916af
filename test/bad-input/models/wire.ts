import { gzipSync } from 'node:zlib'
import { type HostileModel, hostile } from './model-case.ts'
import {
  bytes,
  entry,
  fn,
  graph,
  graphAttribute,
  int,
  join,
  message,
  model,
  node,
  sparse,
  tag,
  tensor,
  text,
  value,
  varint,
} from './onnx-bytes.ts'

const valid = model()
const zip = Buffer.concat([
  Buffer.from('PK\x03\x04\x14\0\0\0\0\0'),
  Buffer.alloc(16),
  Buffer.from('../../etc/cron.d/x'),
])
const overlong = (value: number, length: number) =>
  Buffer.from(Array.from({ length }, (_, index) => ((value >> (7 * index)) & 0x7f) | (index < length - 1 ? 0x80 : 0)))

/** Files that are no ONNX model, or that two protobuf readers could read in two ways. */
export const wireModels: HostileModel[] = [
  hostile('NotONNX', 'a web page', Buffer.from('<!doctype html><html><body>Sign in</body></html>')),
  hostile('NotONNX', 'a Git LFS pointer', Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:00\n')),
  hostile('NotONNX', 'a zip archive with a path that climbs', zip),
  hostile('NotONNX', 'a gzip bomb', gzipSync(Buffer.alloc(1 << 20))),
  hostile(
    'NotONNX',
    'a pickle',
    Buffer.from('\x80\x04\x95\x1f\0\0\0\0\0\0\0\x8c\x05posix\x8c\x06system\x93', 'latin1'),
  ),
  hostile('NotONNX', 'an ORT flatbuffer', Buffer.from('\x18\0\0\0ORTM\0\0\0\0', 'latin1')),
  hostile('NotONNX', 'a single zero byte', Buffer.alloc(1)),
  hostile('NotONNX', 'no graph', join(int(1, 9), message(8, int(2, 19)))),
  hostile('NotONNX', 'no operator sets', join(int(1, 9), bytes(7, graph()))),
  hostile('NotONNX', 'IR version 0', join(int(1, 0), bytes(7, graph()), message(8, int(2, 19)))),
  hostile('NotONNX', 'a negative IR version', join(int(1, -1), bytes(7, graph()), message(8, int(2, 19)))),
  hostile('NotONNX', 'cut in the middle', valid.subarray(0, valid.length / 2)),
  hostile('NotONNX', 'cut before the last byte', valid.subarray(0, -1)),
  hostile('NotONNX', 'a group', model({ extra: [tag(99, 3), tag(99, 4)] })),
  hostile('NotONNX', 'the end of a group that never began', model({ extra: [tag(99, 4)] })),
  hostile('NotONNX', 'wire type 6', model({ extra: [tag(99, 6)] })),
  hostile('NotONNX', 'wire type 7', model({ extra: [tag(99, 7)] })),
  hostile('NotONNX', 'field number 0', model({ extra: [tag(0, 0), varint(1)] })),
  hostile('NotONNX', 'an overlong tag', model({ extra: [overlong(99 * 8, 5), varint(1)] })),
  hostile('NotONNX', 'an overlong length', join(int(1, 9), tag(7, 2), overlong(graph().length, 5), graph())),
  hostile('NotONNX', 'a varint of eleven bytes', join(tag(1, 0), Buffer.alloc(10, 0xff), Buffer.from([1]), valid)),
  hostile('NotONNX', 'a varint beyond 64 bits', join(tag(1, 0), Buffer.alloc(9, 0xff), Buffer.from([2]), valid)),
  hostile('NotONNX', 'a length of 4 GiB', join(int(1, 9), tag(7, 2), varint(0xffffffff))),
  hostile('NotONNX', 'a length beyond its message', model({ graph: join(tag(1, 2), varint(500), node('Add')) })),
  hostile('NotONNX', 'a number for the graph', join(int(1, 9), int(7, 1), message(8, int(2, 19)))),
  hostile('NotONNX', 'text for the IR version', join(text(1, '9'), bytes(7, graph()), message(8, int(2, 19)))),
  hostile(
    'NotONNX',
    'a data type that wraps to float',
    model({ graph: graph({ initializers: [tensor({ type: 2 ** 32 + 1 })] }) }),
  ),
  hostile('NotONNX', 'an unknown data type', model({ graph: graph({ initializers: [tensor({ type: 99 })] }) })),
  hostile('NotONNX', 'an undefined data type', model({ graph: graph({ initializers: [tensor({ type: 0 })] }) })),
  hostile(
    'NotONNX',
    'an unknown data location',
    model({ graph: graph({ initializers: [tensor({ extra: [int(14, 7)] })] }) }),
  ),
  hostile(
    'NotONNX',
    'an unknown attribute type',
    model({ graph: graph({ nodes: [node('Add', { attributes: [join(text(1, 'a'), int(20, 77))] })] }) }),
  ),
  hostile(
    'NotONNX',
    'an operator name that is not UTF-8',
    model({ graph: graph({ nodes: [join(bytes(4, Buffer.from([0xc3, 0x28])))] }) }),
  ),
  hostile(
    'NotONNX',
    'a NUL character in a domain',
    model({ graph: graph({ nodes: [node('Add', { domain: 'ai.onnx\0.evil' })] }) }),
  ),
  hostile(
    'NotONNX',
    'a part of a float',
    model({ graph: graph({ initializers: [tensor({ raw: null, extra: [bytes(4, Buffer.alloc(7))] })] }) }),
  ),
  hostile('NotONNX', 'a node without operator', model({ graph: graph({ nodes: [text(1, 'x')] }) })),
  hostile(
    'NotONNX',
    'a tensor in segments',
    model({ graph: graph({ initializers: [tensor({ extra: [message(3, int(1, 0), int(2, 1))] })] }) }),
  ),
]

const twice = (what: string, onnx: Buffer) => hostile('DuplicateField', `twice: ${what}`, onnx)
const inGraph = (...extra: Buffer[]) => model({ graph: graph({ extra }) })
const inNode = (...extra: Buffer[]) => model({ graph: graph({ nodes: [node('Add', { extra })] }) })
const inTensor = (...extra: Buffer[]) => model({ graph: graph({ initializers: [tensor({ extra })] }) })
const inAttribute = (...parts: Buffer[]) =>
  model({ graph: graph({ nodes: [node('Add', { attributes: [join(text(1, 'a'), ...parts)] })] }) })

/** Singular fields that stand there twice: protobuf readers merge them or take the last, silently. */
export const duplicateModels: HostileModel[] = [
  twice('the graph', model({ extra: [bytes(7, graph())] })),
  twice('an empty second graph', model({ extra: [bytes(7, Buffer.alloc(0))] })),
  twice('the IR version', model({ extra: [int(1, 9)] })),
  twice('the producer', model({ extra: [text(2, 'a'), text(2, 'b')] })),
  twice(
    'an operator set',
    model({
      opsets: [
        ['', 19],
        ['', 7],
      ],
    }),
  ),
  twice(
    'an operator set under both its names',
    model({
      opsets: [
        ['', 19],
        ['ai.onnx', 7],
      ],
    }),
  ),
  twice("an operator set's version", model({ extra: [message(8, text(1, 'x.y'), int(2, 1), int(2, 2))] })),
  twice('a metadata key', model({ extra: [entry(14, 'k', 'a'), entry(14, 'k', 'b')] })),
  twice("a metadata entry's value", model({ extra: [message(14, text(1, 'k'), text(2, 'a'), text(2, 'b'))] })),
  twice("the graph's name", inGraph(text(2, 'other'))),
  twice('an operator', inNode(text(4, 'Sub'))),
  twice("a node's domain", inNode(text(7, ''), text(7, 'evil'))),
  twice("a tensor's type", inTensor(int(2, 1))),
  twice("a tensor's data", inTensor(bytes(9, Buffer.alloc(8)))),
  twice("a tensor's name", inTensor(text(8, 'v'))),
  twice("a tensor's data location", inTensor(int(14, 0), int(14, 0))),
  twice("an attribute's tensor", inAttribute(bytes(5, tensor()), bytes(5, tensor()))),
  twice("an attribute's graph", inAttribute(bytes(6, graph()), bytes(6, graph()))),
  twice("an attribute's type", inAttribute(int(20, 2), int(20, 4))),
  twice('the values of a sparse tensor', model({ graph: graph({ sparse: [join(sparse(), message(1, tensor()))] }) })),
  twice('the domain of a function', model({ functions: [fn('F', 'my', [node('Neg')], [text(10, 'other')])] })),
  twice('kinds of one type', inGraph(message(13, text(1, 'v'), message(2, message(1, int(1, 1)), message(4))))),
  twice(
    'kinds of one dimension',
    inGraph(
      message(13, text(1, 'v'), message(2, message(1, int(1, 1), message(2, message(1, int(1, 2), text(2, 'n')))))),
    ),
  ),
  twice(
    'where external data is',
    model({
      graph: graph({
        initializers: [
          tensor({
            external: [
              ['location', 'weights.bin'],
              ['location', '../x'],
            ],
          }),
        ],
      }),
    }),
  ),
  twice(
    "an external data entry's value",
    inTensor(message(13, text(1, 'location'), text(2, 'weights.bin'), text(2, '/etc/passwd'))),
  ),
  twice(
    'a field in a deep subgraph',
    inAttribute(
      bytes(6, graph({ nodes: [node('If', { attributes: [graphAttribute('b', graph({ extra: [text(2, 'h')] }))] })] })),
    ),
  ),
  twice('a field in a constant', inAttribute(bytes(5, tensor({ extra: [int(2, 7)] })))),
  twice("a field in a value's type", inGraph(message(13, value('v'), text(1, 'u')))),
]

function nestedGraphs(depth: number): Buffer {
  let inner = graph({ nodes: [node('Neg')] })
  for (let level = 0; level < depth; level += 1)
    inner = graph({ nodes: [node('If', { attributes: [graphAttribute('b', inner)] })] })
  return model({ graph: inner })
}

function nestedTypes(depth: number): Buffer {
  let inner = message(1, int(1, 1))
  for (let level = 0; level < depth; level += 1) inner = message(4, bytes(1, inner))
  return inGraph(message(13, text(1, 'v'), bytes(2, inner)))
}

const many = (count: number, part: Buffer) => Buffer.concat(Array.from({ length: count }, () => part))

/** Models that cost their reader far more than their writer. */
export const costlyModels: HostileModel[] = [
  hostile('TooLarge', 'subgraphs 40 deep', nestedGraphs(40), 'nested'),
  hostile('TooLarge', 'subgraphs 2000 deep', nestedGraphs(2000), 'nested'),
  hostile('TooLarge', 'types 100 deep', nestedTypes(100), 'nested'),
  hostile(
    'TooLarge',
    'half a million nodes',
    model({ graph: graph({ extra: [many(500_001, message(1, text(4, 'N')))] }) }),
    'nodes',
  ),
  hostile(
    'TooLarge',
    'half a million tensors',
    model({ graph: graph({ extra: [many(500_001, message(5))] }) }),
    'tensors',
  ),
  hostile('TooLarge', 'four million empty values', model({ graph: graph({ extra: [many(4_000_001, message(13))] }) })),
  hostile(
    'TooLarge',
    'a node with nine million inputs',
    model({ graph: graph({ nodes: [many(9_000_000, text(1, ''))] }) }),
  ),
  hostile('TooLarge', 'a name of a megabyte', model({ graph: graph({ nodes: [node('x'.repeat(1 << 20))] }) })),
  hostile(
    'TooLarge',
    'a tensor with nine million dimensions',
    model({ graph: graph({ initializers: [many(9_000_000, int(1, 1))] }) }),
  ),
]
