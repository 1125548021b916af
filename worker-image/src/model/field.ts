/** One field of a protobuf message, from the pinned schema: exactly one of `message`, `enum`, `scalar`. */
export type Field = {
  name: string
  message?: string
  enum?: string
  scalar?: string
  repeated: boolean
  /** Name of the oneof that the field belongs to. */
  oneof?: string
}

/** Fields of a message by field number. */
export type MessageFields = Record<number, Field>

/** Known values of an enum. */
export type EnumValues = readonly number[]
