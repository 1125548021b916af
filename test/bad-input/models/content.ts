import { type HostileModel, hostile } from './model-case.ts'
import {
  bytes,
  entry,
  fn,
  graph,
  graphAttribute,
  int,
  intsAttribute,
  join,
  message,
  model,
  node,
  sparse,
  type TensorParts,
  tensor,
  tensorAttribute,
  text,
  value,
  varint,
} from './onnx-bytes.ts'

const withTensor = (parts: TensorParts) => model({ graph: graph({ initializers: [tensor(parts)] }) })
const withSparse = (...parts: Parameters<typeof sparse>) => model({ graph: graph({ sparse: [sparse(...parts)] }) })
const refused = (name: string, onnx: Buffer, says?: string) => hostile('ShapeRefused', name, onnx, says)

const longs = (...values: (number | bigint)[]) => Buffer.from(BigInt64Array.from(values.map(BigInt)).buffer)
const shape = (...dims: (number | bigint)[]) => tensor({ name: 's', dims: [dims.length], type: 7, raw: longs(...dims) })
const made = (operator: string, inputs: string[], initializers: Buffer[], attributes: Buffer[] = []) =>
  model({ graph: graph({ nodes: [node(operator, { inputs, attributes })], initializers }) })
const floats = (count: number) => bytes(4, Buffer.alloc(count * 4))

/** Shapes that overflow, cost too much, or do not fit their data. */
export const shapeModels: HostileModel[] = [
  refused('a negative dimension', withTensor({ dims: [-1] })),
  refused('the lowest dimension', withTensor({ dims: [-(2n ** 63n)] })),
  refused('a product that wraps to 0', withTensor({ dims: [2n ** 32n, 2n ** 32n] })),
  refused('a product that wraps to 2', withTensor({ dims: [2n ** 63n - 1n, 2n, 2n] })),
  refused('a size that wraps in bytes', withTensor({ dims: [2n ** 62n] })),
  refused('an absurd shape beside a zero', withTensor({ dims: [2n ** 40n, 2n ** 40n, 0], raw: Buffer.alloc(0) })),
  refused('a terabyte without data', withTensor({ dims: [2n ** 38n], raw: null })),
  refused('65 dimensions', withTensor({ dims: new Array<number>(65).fill(1) })),
  refused('less data than its shape', withTensor({ dims: [3] })),
  refused('more data than its shape', withTensor({ dims: [1] })),
  refused('no data', withTensor({ raw: null })),
  refused('half bytes that do not fill their shape', withTensor({ dims: [3], type: 22, raw: Buffer.alloc(1) })),
  refused('fewer floats than its shape', withTensor({ raw: null, extra: [floats(1)] })),
  refused('floats for integers', withTensor({ raw: null, type: 7, extra: [floats(2)] })),
  refused('integers for floats', withTensor({ raw: null, extra: [message(7, varint(1), varint(2))] })),
  refused('data in two fields', withTensor({ extra: [floats(2)] })),
  refused('strings as raw bytes', withTensor({ type: 8 })),
  refused('fewer strings than its shape', withTensor({ type: 8, raw: null, extra: [text(6, 'a')] })),
  refused('an input with a negative dimension', model({ graph: graph({ inputs: [value('x', [-5])] }) })),
  refused('an input of an exabyte', model({ graph: graph({ inputs: [value('x', [2n ** 58n])] }) })),
  refused(
    'an output of 65 dimensions',
    model({ graph: graph({ outputs: [value('y', new Array<number>(65).fill(1))] }) }),
  ),
  refused(
    'a value in a sequence',
    model({
      graph: graph({
        extra: [
          message(
            13,
            text(1, 'v'),
            message(2, message(4, message(1, message(1, int(1, 1), message(2, message(1, int(1, -3))))))),
          ),
        ],
      }),
    }),
  ),
  refused('ConstantOfShape of a terabyte', made('ConstantOfShape', ['s'], [shape(2n ** 40n)])),
  refused('ConstantOfShape of an overflow', made('ConstantOfShape', ['s'], [shape(2n ** 32n, 2n ** 32n)])),
  refused('ConstantOfShape of a negative size', made('ConstantOfShape', ['s'], [shape(-4)])),
  refused(
    'ConstantOfShape of a shape in int64_data',
    made(
      'ConstantOfShape',
      ['s'],
      [tensor({ name: 's', dims: [1], type: 7, raw: null, extra: [message(7, varint(2n ** 45n))] })],
    ),
  ),
  refused(
    'ConstantOfShape of a Constant',
    model({
      graph: graph({
        nodes: [
          node('Constant', { inputs: [], outputs: ['s'], attributes: [tensorAttribute('value', shape(2n ** 41n))] }),
          node('ConstantOfShape', { inputs: ['s'] }),
        ],
      }),
    }),
  ),
  refused(
    'ConstantOfShape in a subgraph of a shape outside',
    model({
      graph: graph({
        initializers: [shape(2n ** 41n)],
        nodes: [
          node('If', {
            attributes: [graphAttribute('b', graph({ nodes: [node('ConstantOfShape', { inputs: ['s'] })] }))],
          }),
        ],
      }),
    }),
  ),
  refused('Expand to a terabyte', made('Expand', ['x', 's'], [shape(2n ** 20n, 2n ** 20n)])),
  refused('RandomNormal of a terabyte', made('RandomNormal', [], [], [intsAttribute('shape', [2n ** 40n])])),
  refused('a sparse index out of range', withSparse({ indices: { raw: longs(8) } }), 'out of range'),
  refused('a negative sparse index', withSparse({ indices: { raw: longs(-1) } }), 'out of range'),
  refused(
    'a sparse index out of range in its second column',
    withSparse({ dims: [2, 4], indices: { dims: [1, 2], raw: longs(1, 4) } }),
    'out of range',
  ),
  refused(
    'a sparse tensor with more values than places',
    withSparse({ dims: [1], values: { dims: [2], raw: Buffer.alloc(8) }, indices: { dims: [2], raw: longs(0, 0) } }),
  ),
  refused(
    'a sparse tensor with fewer indices than values',
    withSparse({ values: { dims: [2], raw: Buffer.alloc(8) } }),
  ),
  refused('a sparse tensor with float indices', withSparse({ indices: { type: 1, raw: Buffer.alloc(4) } })),
  refused('a sparse tensor of a yottabyte', withSparse({ dims: [2 ** 40, 2 ** 40] })),
  hostile('NotONNX', 'a sparse tensor without values', model({ graph: graph({ sparse: [int(3, 8)] }) })),
]

const domain = (name: string, onnx: Buffer) => hostile('OperatorDomainRefused', name, onnx)
const stranger = node('Run', { domain: 'evil.ops' })
const inDomain = (name: string, operator = 'Run') =>
  model({
    graph: graph({ nodes: [node(operator, { domain: name })] }),
    opsets: [
      ['', 19],
      [name, 1],
    ],
  })

const call = (name: string) => node(name, { domain: 'my' })
const functions = (name: string, ...items: Buffer[]) =>
  hostile(
    'FunctionRefused',
    name,
    model({
      functions: items,
      opsets: [
        ['', 19],
        ['my', 1],
      ],
    }),
  )
const laughs = Array.from({ length: 9 }, (_, level) =>
  fn(`F${level}`, 'my', level === 8 ? [node('Neg')] : new Array(10).fill(call(`F${level + 1}`))),
)
const ladder = Array.from({ length: 70 }, (_, level) =>
  fn(`F${level}`, 'my', [level === 69 ? node('Neg') : call(`F${level + 1}`)]),
)

/** Operators that are not ONNX's, and functions that hide or multiply operators. */
export const operatorModels: HostileModel[] = [
  domain('an operator of a stranger', inDomain('evil.ops')),
  domain('a Python operator of the extensions', inDomain('ai.onnx.contrib', 'PyOp')),
  domain('a training operator', inDomain('ai.onnx.training', 'Adam')),
  domain('a gradient', inDomain('ai.onnx.preview.training', 'Gradient')),
  domain('a PyTorch operator', inDomain('org.pytorch.aten', 'ATen')),
  domain('a domain in capitals', inDomain('AI.ONNX')),
  domain('a domain with a blank', inDomain('com.microsoft ')),
  domain('a domain below an allowed one', inDomain('com.microsoft.evil')),
  domain('a look-alike domain', inDomain('соm.microsoft')),
  domain(
    'a stranger in a subgraph',
    model({
      graph: graph({ nodes: [node('If', { attributes: [graphAttribute('b', graph({ nodes: [stranger] }))] })] }),
    }),
  ),
  domain('a stranger in a function', model({ functions: [fn('F', 'my', [stranger])] })),
  domain('a stranger in training', model({ training: [bytes(2, graph({ nodes: [stranger] }))] })),
  domain(
    'a call of a function that is not there',
    model({ functions: [fn('F', 'my', [node('Neg')])], graph: graph({ nodes: [call('G')] }) }),
  ),
  domain(
    'a call of another overload',
    model({
      functions: [fn('F', 'my', [node('Neg')])],
      graph: graph({ nodes: [node('F', { domain: 'my', extra: [text(8, 'v2')] })] }),
    }),
  ),
  domain('a compiled program in a file', inDomain('com.microsoft', 'EPContext')),
  domain(
    'options of the runtime',
    model({ extra: [entry(14, 'ort_config', '{"session_options":{"custom_ops_library":"/tmp/x.so"}}')] }),
  ),
  functions('a function in the standard domain', fn('Add', '', [node('Sub')])),
  functions('a function in the standard domain by its long name', fn('Add', 'ai.onnx', [node('Sub')])),
  functions('a function in the ML domain', fn('Scaler', 'ai.onnx.ml', [node('Sub')])),
  functions('a function in the domain of ONNX Runtime', fn('Gelu', 'com.microsoft', [node('Sub')])),
  functions('a function in a domain below a standard one', fn('Gelu', 'com.microsoft.extra', [node('Sub')])),
  functions('a function without a name', fn('', 'my', [node('Neg')])),
  functions('a function defined twice', fn('F', 'my', [node('Neg')]), fn('F', 'my', [node('Abs')])),
  functions('a function that calls itself', fn('F', 'my', [call('F')])),
  functions('functions that call each other', fn('F', 'my', [call('G')]), fn('G', 'my', [call('F')])),
  functions(
    'a function that calls itself from a subgraph',
    fn('F', 'my', [node('If', { attributes: [graphAttribute('b', graph({ nodes: [call('F')] }))] })]),
  ),
  functions('a billion laughs', ...laughs),
  functions('calls 70 deep', ...ladder),
]

export const contentModels: HostileModel[] = [...shapeModels, ...operatorModels]

/** Kept for the tests that show a legitimate use of what is refused above. */
export const legitimate = {
  function: model({
    functions: [fn('F', 'my', [node('Neg', { inputs: ['a'], outputs: ['b'] })])],
    graph: graph({ nodes: [node('F', { domain: 'my', inputs: ['x'] })] }),
    opsets: [
      ['', 19],
      ['my', 1],
    ],
  }),
  external: withTensor({
    external: [
      ['location', 'weights.bin'],
      ['offset', '0'],
      ['length', '8'],
    ],
  }),
  sparse: withSparse(),
  unknownFields: model({ extra: [int(99, 1), join(varint(100 * 8 + 5), Buffer.alloc(4)), text(101, 'later')] }),
}
