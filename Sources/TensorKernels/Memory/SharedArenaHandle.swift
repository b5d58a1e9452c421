/// How another process of the same machine finds a `SharedArena`: to be sent to it as JSON, say.
///
/// Good for as long as the process that made the arena holds it.
public struct SharedArenaHandle: Codable, Sendable, Hashable {
    /// The process that made the arena, and its number for the memory.
    public let process: Int32
    public let descriptor: Int32
    public let byteCount: Int
    /// 32 hexadecimal digits that lie in the arena's head, so that other memory is not taken for it.
    public let key: String

    public init(process: Int32, descriptor: Int32, byteCount: Int, key: String) {
        self.process = process
        self.descriptor = descriptor
        self.byteCount = byteCount
        self.key = key
    }
}
