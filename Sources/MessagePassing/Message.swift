/// What one rank tells another: a small head, which says what it is about, and perhaps a payload of megabytes, which
/// never passes through an array.
public struct Message: Sendable {
    public let source: Int
    public let tag: MessageTag
    public let head: [UInt8]
    public let payload: ReceivedBytes?

    public init(source: Int, tag: MessageTag, head: [UInt8], payload: ReceivedBytes? = nil) {
        self.source = source
        self.tag = tag
        self.head = head
        self.payload = payload
    }

    /// The bytes of head and payload.
    public var byteCount: Int { head.count + (payload?.count ?? 0) }
}
