/// What a message is about: receiving names the sender's rank and the tag, and messages of one sender and one tag
/// arrive in the order in which they were sent.
public struct MessageTag: Hashable, Sendable {
    /// The kind of conversation. Below `firstFreeChannel` they belong to this module.
    public let channel: UInt32
    /// Which one of many such conversations, for instance the request that a reply answers.
    public let number: UInt64

    public static let firstFreeChannel: UInt32 = 16

    public init(channel: UInt32, number: UInt64 = 0) {
        self.channel = channel
        self.number = number
    }

    static let control = MessageTag(channel: 0)
    static let barrier = MessageTag(channel: 1)
    static let broadcast = MessageTag(channel: 2)
    static let gather = MessageTag(channel: 3)
    static let directory = MessageTag(channel: 4)
}
