/** The typed data fields of a TensorProto, by name in the schema. */
export const dataFields = [
  'floatData',
  'int32Data',
  'stringData',
  'int64Data',
  'rawData',
  'doubleData',
  'uint64Data',
] as const

export type DataField = (typeof dataFields)[number]

/** What a tensor held before its data was left out: elements of each field that was present, bytes for `rawData`. */
export type TensorSummary = Partial<Record<DataField, number>>

export function isDataField(name: string): name is DataField {
  return (dataFields as readonly string[]).includes(name)
}

/** Text that takes the place of a tensor's `doc_string` in the slim copy; the file's own doc strings never get there. */
export function writeSummary(summary: TensorSummary): Uint8Array {
  return Buffer.from(JSON.stringify(summary))
}

export function readSummary(text: string): TensorSummary {
  // A cast, because only writeSummary makes this text.
  return text === '' ? {} : (JSON.parse(text) as TensorSummary)
}
